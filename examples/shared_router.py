"""A LangGraph agent whose tool asks a LlamaIndex query engine: one router, one budget, one trace. No key, no network.

    pip install langchain-taskrouter llama-index-llms-taskrouter langchain langchain-openai llama-index-llms-openai \
        'taskrouter[otel,simulate]'
    python examples/shared_router.py

Each framework has a routed model of its own, and both share a `Router`: budgets, breakers, rules, spans. The simulated
models bear the names of real ones, so prices and quality figures are those of the bundled catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.schema import TextNode
from llama_index.llms.openai import OpenAI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from llama_index.llms.taskrouter import RoutedLLM
from taskrouter import Router, simulator

MODELS = {"small": "gpt-4.1-mini", "large": "gpt-4o"}
SIMULATED = [
    {"id": "gpt-4.1-mini", "input_usd_per_million": 0.40, "output_usd_per_million": 1.60},
    {"id": "gpt-4o", "input_usd_per_million": 2.50, "output_usd_per_million": 10.00},
]
RULES = [
    {"name": "LangGraph's agent", "when": {"agent": "guide"}, "task_type": "tool_use", "policy": "economy"},
    {"name": "LlamaIndex's answers", "when": {"node": "CompactAndRefine.synthesize"}, "use": ["large"]},
]
ANSWER = ChatPromptTemplate.from_messages(
    [("system", "Answer from the context.\n\n{context_str}"), ("user", "{query_str}")]
)
ARCHIVE = ["The harbour crane was built in 1908 and lifts 12 tons.", "It was restored in 2019 by volunteers."]
LIMIT_USD = 0.005


def engine_of(llm: RoutedLLM) -> BaseQueryEngine:
    """Return LlamaIndex's part: a query engine over the archive."""
    embedding = MockEmbedding(embed_dim=2)  # finds everything: this is about the models
    index = VectorStoreIndex([TextNode(text=text) for text in ARCHIVE], embed_model=embedding)
    return index.as_query_engine(llm=llm, text_qa_template=ANSWER)


def agent_of(model: RoutedChatModel, engine: BaseQueryEngine) -> Any:
    """Return LangGraph's part: an agent with the engine as its tool."""

    @tool
    def archive(question: str) -> str:
        """Ask the archive."""
        return str(engine.query(question))

    tools: list[BaseTool] = [archive]
    return create_agent(model, tools, name="guide")


def show(spans: list[ReadableSpan]) -> None:
    """Print where each step went, as its span tells."""
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        said: Mapping[str, Any] = span.attributes or {}
        if span.name.startswith("route "):
            agent, node = said.get("taskrouter.step.agent"), said["taskrouter.step.node"]
            place = f"LangGraph   {agent} / {node}" if agent else f"LlamaIndex  {node}"
            model, reason = said["taskrouter.outcome.model"], said["taskrouter.decision.reason"]
            print(f"  {place:<40} {model:<6} {reason:<21} ${said['taskrouter.cost.total']:.6f}")


def main() -> None:
    exporter = InMemorySpanExporter()  # your own: an OTLP exporter
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("visitors")
    pool = {name: {"model": f"openai/{model}"} for name, model in MODELS.items()}
    with (
        simulator.serve({"speed": 0.0, "models": SIMULATED}) as server,
        Router(pool, incumbent="large", rules=RULES, tracer_provider=provider) as router,
    ):
        url = server.base_url
        for_langgraph = RoutedChatModel(
            {n: ChatOpenAI(model=m, base_url=url, api_key=SecretStr("none")) for n, m in MODELS.items()}, router=router
        )
        for_llamaindex = RoutedLLM(
            {n: OpenAI(model=m, api_base=url, api_key="none") for n, m in MODELS.items()}, router=router
        )
        agent = agent_of(for_langgraph, engine_of(for_llamaindex))
        asked = "Call archive with question: when was the harbour crane built?"
        with tracer.start_as_current_span("a visitor asks"), router.budget(usd=LIMIT_USD) as budget:
            state = agent.invoke({"messages": [("user", asked)]})

    spans = list(exporter.get_finished_spans())
    traces = {span.context.trace_id for span in spans if span.context is not None}
    show(spans)
    print(f"answer: {state['messages'][-1].text}")
    print(f"spent:  ${budget.spent_usd:.6f} of ${LIMIT_USD}, by both frameworks together")
    print(f"traces: {len(traces)}, with {len(spans)} spans")


if __name__ == "__main__":
    main()
