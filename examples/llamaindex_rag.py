"""A LlamaIndex query engine: a cheap model picks the archive, a strong one answers from it. No key, no network.

    pip install llama-index-llms-taskrouter llama-index-llms-openai 'taskrouter[simulate]'
    python examples/llamaindex_rag.py

One routed LLM stands in all places (`Settings.llm`). LlamaIndex tells which component makes a call, and rules know it
by that name. The retriever compares words: there are no embeddings and no download. The simulated models bear the names
of real ones, because LlamaIndex's `OpenAI` takes no others; so prices and quality figures are the catalogue's.
"""

from __future__ import annotations

import re
from typing import Any

from llama_index.core import QueryBundle, Settings
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine, RouterQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.openai import OpenAI

from llama_index.llms.taskrouter import RoutedLLM
from taskrouter import Outcome, Router, hookimpl, simulator

MODELS = {"small": "gpt-4.1-mini", "large": "gpt-4o"}
SIMULATED = [
    {"id": "gpt-4.1-mini", "input_usd_per_million": 0.40, "output_usd_per_million": 1.60},
    {"id": "gpt-4o", "input_usd_per_million": 2.50, "output_usd_per_million": 10.00},
]
RULES = [
    {"name": "a pick out of two is easy", "when": {"node": "*Selector.select"}, "policy": "economy"},
    {"name": "what users read", "when": {"node": "CompactAndRefine.synthesize"}, "use": ["large"]},
]
ANSWER = ChatPromptTemplate.from_messages(
    [("system", "Answer from the context.\n\n{context_str}"), ("user", "{query_str}")]
)
SIGHTS = [
    "The harbour crane was built in 1908 and lifts 12 tons.",
    "The lighthouse is 31 metres high. It burns since 1871.",
    "The harbour crane was restored in 2019 by volunteers.",
]
MARKETS = [
    "The fish market opens at 5 h and closes at 11 h.",
    "The flower market is on Saturdays, from 8 to 14 h.",
]


class WordRetriever(BaseRetriever):
    """Finds the passages that share most words with the query."""

    def __init__(self, passages: list[str]) -> None:
        super().__init__()
        self._passages = passages

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        asked = words(query_bundle.query_str)
        nodes = [NodeWithScore(node=TextNode(text=p), score=float(len(asked & words(p)))) for p in self._passages]
        return sorted(nodes, key=lambda node: -(node.score or 0.0))[:1]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class Printer:
    """A plugin that is told of every step: a query engine's response keeps no account of the calls behind it."""

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        decision = outcome.decision
        node, task = decision.context.node, decision.profile.task_type
        print(f"  {node:<30} {task:<14} {outcome.model:<6} {decision.reason:<22} ${outcome.cost_usd:.6f}")


def engine_of() -> RouterQueryEngine:
    """Return an engine that picks one of two archives."""
    engines = {
        what: RetrieverQueryEngine.from_args(WordRetriever(passages), text_qa_template=ANSWER)
        for what, passages in {"Sights: their age and size": SIGHTS, "Markets: when they open": MARKETS}.items()
    }
    return RouterQueryEngine.from_defaults(
        [QueryEngineTool.from_defaults(engine, description=what) for what, engine in engines.items()]
    )


def main() -> None:
    with (
        simulator.serve({"speed": 0.0, "models": SIMULATED}) as server,
        Router(
            {name: {"model": f"openai/{model}"} for name, model in MODELS.items()},
            incumbent="large",
            rules=RULES,
            plugins=[Printer()],
        ) as router,
    ):
        candidates = {
            name: OpenAI(model=model, api_base=server.base_url, api_key="none") for name, model in MODELS.items()
        }
        counter = TokenCountingHandler(tokenizer=str.split)
        Settings.callback_manager = CallbackManager([counter])
        Settings.llm = RoutedLLM(candidates, router=router)
        engine = engine_of()
        for question in ("How high is the lighthouse?", "When was the harbour crane restored?"):
            print(question)  # simulated models can only pick the first archive
            print(f"  {engine.query(question)}")
        print(f"\nLlamaIndex's own counter has {counter.total_llm_token_count} tokens")


if __name__ == "__main__":
    main()
