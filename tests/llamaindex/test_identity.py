"""Which step a call is: what LlamaIndex's query engines and agents say without being asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core import Document, MockEmbedding, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.chat_engine import CondensePlusContextChatEngine, CondenseQuestionChatEngine
from llama_index.core.extractors import KeywordExtractor, SummaryExtractor, TitleExtractor
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.selectors import LLMSingleSelector, PydanticSingleSelector
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index_instrumentation.dispatcher import instrument_tags

from llama_index.llms.taskrouter import RoutedLLM, _identity
from llama_index.llms.taskrouter._spans import SPANS

from .conftest import AGENTS, FIRST, SECOND, Bench, said

pytestmark = AGENTS

SECRET = "canary of a question"
NODES = [NodeWithScore(node=TextNode(text=f"Fact {n}.")) for n in range(3)]
CHOICES = [ToolMetadata("about boats", name="boats"), ToolMetadata("about trains", name="trains")]


@pytest.fixture
def llm(bench: Bench) -> RoutedLLM:
    return bench.routed()


def nodes(bench: Bench) -> list[str | None]:
    return [decision.context.node for decision in bench.watcher.decisions]


def runs(bench: Bench) -> set[str | None]:
    return {decision.context.run_id for decision in bench.watcher.decisions}


@pytest.mark.parametrize(
    ("mode", "node", "task"),
    [
        (ResponseMode.COMPACT, "CompactAndRefine.synthesize", "closed_qa"),
        (ResponseMode.REFINE, "Refine.synthesize", "closed_qa"),
        (ResponseMode.TREE_SUMMARIZE, "TreeSummarize.synthesize", "summarization"),
        (ResponseMode.SIMPLE_SUMMARIZE, "SimpleSummarize.synthesize", "closed_qa"),
        (ResponseMode.ACCUMULATE, "Accumulate.synthesize", "closed_qa"),
        (ResponseMode.GENERATION, "Generation.synthesize", None),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_synthesizer_is_the_node(
    bench: Bench, llm: RoutedLLM, mode: ResponseMode, node: str, task: str | None, *, asynchronous: bool
) -> None:
    synthesizer = get_response_synthesizer(llm=llm, response_mode=mode)
    if asynchronous:
        await synthesizer.asynthesize("What?", NODES)
        node = node.replace(".synthesize", ".asynthesize")
    else:
        synthesizer.synthesize("What?", NODES)
    assert set(nodes(bench)) == {node}
    if task is not None:
        assert {decision.profile.task_type for decision in bench.watcher.decisions} == {task}
    assert len(runs(bench)) == 1


def test_a_query_is_one_run_and_the_next_one_another(bench: Bench, llm: RoutedLLM) -> None:
    index = SummaryIndex.from_documents([Document(text="The ferry leaves at nine.")])
    engine = index.as_query_engine(llm=llm, response_mode="refine")
    engine.query("When?")
    (first,) = runs(bench)
    assert first is not None
    assert first.startswith("RetrieverQueryEngine.query-")
    assert "RetrieverQueryEngine.query" in bench.context.tags
    engine.query("When?")
    assert len(runs(bench)) == 2


def test_selectors_are_nodes_that_classify(bench: Bench, llm: RoutedLLM) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the stand-in does not know how to choose
        LLMSingleSelector.from_defaults(llm=llm).select(CHOICES, "boats?")
    assert nodes(bench) == ["LLMSingleSelector.select"]
    assert bench.watcher.decisions[0].profile.task_type == "classification"


def test_a_pydantic_selector_is_one_too(bench: Bench, llm: RoutedLLM) -> None:
    selector = PydanticSingleSelector.from_defaults(llm=llm)  # type: ignore[arg-type] # the annotation says OpenAI's
    assert selector.select(CHOICES, "1 boats, 2 trains?").selections
    assert nodes(bench) == ["PydanticSingleSelector.select"]
    assert bench.watcher.decisions[0].profile.task_type == "classification"


def test_a_question_generator_plans(bench: Bench, llm: RoutedLLM) -> None:
    generator = LLMQuestionGenerator.from_defaults(llm=llm)
    with pytest.raises(Exception):  # noqa: B017, PT011 - the stand-in's answer is no list of questions
        generator.generate(CHOICES, QueryBundle("boats and trains?"))
    assert nodes(bench) == ["LLMQuestionGenerator.generate"]
    assert bench.watcher.decisions[0].profile.task_type == "planning"


@pytest.mark.parametrize(
    ("extractor", "task"),
    [(SummaryExtractor, "summarization"), (KeywordExtractor, "extraction"), (TitleExtractor, "extraction")],
)
def test_extractors_are_nodes_whoever_runs_them(bench: Bench, llm: RoutedLLM, extractor: Any, task: str) -> None:
    pipeline = IngestionPipeline(transformations=[extractor(llm=llm, show_progress=False)])
    pipeline.run(nodes=[TextNode(text="The ferry leaves at nine.")])
    assert set(nodes(bench)) == {f"{extractor.__name__}.aextract"}
    assert {decision.profile.task_type for decision in bench.watcher.decisions} == {task}
    assert bench.context.tags == {f"{extractor.__name__}.aextract", "IngestionPipeline.run"}
    assert len(runs(bench)) == 1


def test_a_transform_of_queries_and_a_reranker_are_nodes(bench: Bench, llm: RoutedLLM) -> None:
    HyDEQueryTransform(llm=llm).run("When?")
    LLMRerank(llm=llm).postprocess_nodes(NODES, query_str="When?")
    assert nodes(bench) == ["HyDEQueryTransform.run", "LLMRerank.postprocess_nodes"]
    assert [decision.profile.task_type for decision in bench.watcher.decisions] == ["closed_qa", "classification"]


def test_chat_engines_condense_and_answer_in_one_run(bench: Bench, llm: RoutedLLM) -> None:
    index = SummaryIndex.from_documents([Document(text="The ferry leaves at nine.")])
    history = said("Hello")
    kept: Any = {"llm": llm, "memory": ChatMemoryBuffer.from_defaults(chat_history=history, llm=llm)}
    engine = CondensePlusContextChatEngine.from_defaults(retriever=index.as_retriever(), **kept)
    engine.chat("When?")
    assert len(bench.watcher.decisions) == 2
    assert len(runs(bench)) == 1
    assert "CondensePlusContextChatEngine.chat" in bench.context.tags
    query = index.as_query_engine(llm=llm)
    CondenseQuestionChatEngine.from_defaults(query_engine=query, **kept).chat("When?")
    assert len(bench.watcher.decisions) == 4
    assert len(runs(bench)) == 2


def test_a_vector_index_answers_with_the_llm_of_settings(bench: Bench, llm: RoutedLLM) -> None:
    Settings.llm, Settings.embed_model = llm, MockEmbedding(embed_dim=4)
    index = VectorStoreIndex.from_documents([Document(text="The ferry leaves at nine.")])
    assert str(index.as_query_engine().query("When?"))
    assert nodes(bench) == ["CompactAndRefine.synthesize"]


async def test_agents_say_their_names(bench: Bench, llm: RoutedLLM, tools: Sequence[FunctionTool]) -> None:
    for agent in (FunctionAgent(name="caller", llm=llm, tools=list(tools)), ReActAgent(name="thinker", llm=llm)):
        bench.watcher.decisions.clear()
        await agent.run("Tell me the weather in 'Paris'.")
        assert {decision.context.agent for decision in bench.watcher.decisions} == {agent.name}
        assert len(runs(bench)) == 1
        assert None not in runs(bench)


async def test_each_agent_of_a_workflow_says_its_own(
    bench: Bench, llm: RoutedLLM, tools: Sequence[FunctionTool]
) -> None:
    boss = FunctionAgent(name="boss", description="leads", llm=llm, can_handoff_to=["worker"])
    worker = FunctionAgent(name="worker", description="works", llm=llm, tools=list(tools))
    flow = AgentWorkflow(agents=[boss, worker], root_agent="boss")
    await flow.run("handoff to 'worker'", max_iterations=4, early_stopping_method="generate")
    agents = [decision.context.agent for decision in bench.watcher.decisions]
    assert agents[:2] == ["boss", "worker"]
    assert len(runs(bench)) == 1


async def test_rules_decide_by_agent_node_and_tag(bench: Bench) -> None:
    llm = bench.routed(
        rules=[
            {"name": "agent", "when": {"agent": "writer"}, "use": ["second"]},
            {"name": "node", "when": {"node": "CompactAndRefine.*"}, "use": ["second"]},
            {"name": "tag", "when": {"tags": ["release=v2"]}, "use": ["second"]},
        ]
    )
    await FunctionAgent(name="writer", llm=llm, streaming=False).run("Hello")
    get_response_synthesizer(llm=llm).synthesize("What?", NODES)
    with instrument_tags({"release": "v2"}):
        llm.chat(said("Hello"))
    assert set(bench.asked) == {SECOND}
    llm.chat(said("Hello"))
    assert bench.asked[-1] == FIRST


@pytest.mark.parametrize("missing", ["place", "variable"])
async def test_without_the_internal_variable_agents_work_and_are_nameless(
    bench: Bench, llm: RoutedLLM, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    class Other:
        def get(self, default: Any) -> Any:
            return object()

    monkeypatch.setattr(_identity, "_RUNNING_STEP", None if missing == "place" else Other())
    await FunctionAgent(name="writer", llm=llm).run("Hello")
    assert bench.context.agent is None
    with instrument_tags({"taskrouter": {"agent": "declared"}}):
        await FunctionAgent(name="writer", llm=llm).run("Hello")
    assert bench.context.agent == "declared"


async def test_nothing_of_a_conversation_is_in_what_is_known_of_a_step(
    bench: Bench, llm: RoutedLLM, tools: Sequence[FunctionTool]
) -> None:
    await FunctionAgent(name="caller", llm=llm, tools=list(tools)).run(f"What is the weather? {SECRET}")
    index = SummaryIndex.from_documents([Document(text=SECRET)])
    index.as_query_engine(llm=llm).query(SECRET)
    seen = "".join(repr(decision) + str(decision.to_dict()) for decision in bench.watcher.decisions)
    seen += "".join(span.to_json() for span in bench.exporter.get_finished_spans())
    assert bench.asked
    assert SECRET not in seen
    assert "input_summary" not in seen


def test_a_call_on_its_own_belongs_to_no_run(bench: Bench, llm: RoutedLLM) -> None:
    llm.chat(said("Hello"))
    assert (bench.context.run_id, bench.context.node, bench.context.agent) == (None, None, None)


def test_the_trace_around_it_is_the_run(bench: Bench, llm: RoutedLLM) -> None:
    with bench.provider.get_tracer("application").start_as_current_span("request") as span:
        llm.chat(said("Hello"))
    assert bench.context.run_id == f"{span.get_span_context().trace_id:032x}"


async def test_spans_are_forgotten_when_they_end(bench: Bench, llm: RoutedLLM) -> None:
    before = len(SPANS._parents), len(SPANS._steps)
    get_response_synthesizer(llm=llm).synthesize("What?", NODES)
    await FunctionAgent(name="writer", llm=llm).run("Hello")
    assert (len(SPANS._parents), len(SPANS._steps)) == before
