"""Our spans among those of OpenInference: the routed LLM's own span has no tokens, the candidate's call has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import ReadableSpan

from llama_index.llms.taskrouter import RoutedLLM

from .conftest import AGENTS, FIRST, WAYS, Bench, ask

pytestmark = [AGENTS, pytest.mark.filterwarnings("ignore:The `json` method:DeprecationWarning")]  # OpenInference's


@pytest.fixture
def instrumented(bench: Bench) -> Iterator[None]:
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=bench.provider)
    yield
    instrumentor.uninstrument()


def spans(bench: Bench) -> dict[str, ReadableSpan]:
    return {name_of(span): span for span in bench.exporter.get_finished_spans()}


def name_of(span: ReadableSpan) -> str:
    return "route" if span.name.startswith("route ") else span.name


def parents(bench: Bench) -> dict[str, str | None]:
    found = bench.exporter.get_finished_spans()
    names = {span.context.span_id: name_of(span) for span in found if span.context}
    return {name_of(span): names.get(span.parent.span_id) if span.parent else None for span in found}


@pytest.mark.parametrize("way", WAYS)
async def test_a_route_lies_beneath_the_application_s_span(bench: Bench, way: str) -> None:
    bench.vendors.fail(FIRST, "unavailable")
    llm = bench.routed()
    with bench.provider.get_tracer("application").start_as_current_span("request"):
        await ask(llm, way)
    assert parents(bench) == {"chat first": "route", "chat second": "route", "route": "request", "request": None}
    assert {name: span.status.status_code.name for name, span in spans(bench).items()} == {
        "chat first": "ERROR",
        "chat second": "UNSET",
        "route": "UNSET",
        "request": "UNSET",
    }


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("way", WAYS)
async def test_a_call_is_one_tree_under_openinference(bench: Bench, way: str) -> None:
    """Streams are read when the span of their call is over, so their route lies beside it."""
    llm = bench.routed()
    with bench.provider.get_tracer("application").start_as_current_span("request"):
        await ask(llm, way)
    assert parents(bench) == {
        "request": None,
        f"RoutedLLM.{way}": "request",
        "route": "request" if "stream" in way else f"RoutedLLM.{way}",
        "chat first": "route",
        f"OpenAI.{way}": f"RoutedLLM.{way}",
    }
    assert len({span.context.trace_id for span in bench.exporter.get_finished_spans() if span.context}) == 1


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("way", WAYS)
async def test_with_the_framework_as_owner_tokens_are_counted_once(bench: Bench, way: str) -> None:
    llm = bench.routed(telemetry={"usage_owner": "framework"})
    await ask(llm, way)
    counting = [name for name, span in spans(bench).items() if counted(span)]
    assert counting == [f"OpenAI.{way}"]


@pytest.mark.usefixtures("instrumented")
async def test_otherwise_both_count(bench: Bench) -> None:
    await ask(bench.routed(), "chat")
    assert sorted(name for name, span in spans(bench).items() if counted(span)) == ["OpenAI.chat", "chat first"]


@pytest.mark.usefixtures("instrumented")
async def test_an_engine_and_an_agent_are_traced(bench: Bench) -> None:
    llm: RoutedLLM = bench.routed()
    index = SummaryIndex.from_documents([Document(text="The ferry leaves at nine.")])
    index.as_query_engine(llm=llm).query("When?")
    await FunctionAgent(name="writer", llm=llm).run("Hello")
    routes = [span for span in bench.exporter.get_finished_spans() if span.name.startswith("route ")]
    assert [span.parent is not None for span in routes] == [True, True]
    engine, agent = (span.attributes or {} for span in routes)
    assert engine["taskrouter.step.node"] == "CompactAndRefine.synthesize"
    assert agent["taskrouter.step.agent"] == "writer"


def counted(span: ReadableSpan) -> bool:
    """Whether a viewer of OpenInference's counts the tokens of a span: it is one of an LLM, and has some."""
    said: Any = span.attributes or {}
    kind = said.get("openinference.span.kind")
    calls = kind == "LLM" or (kind is None and said.get("gen_ai.operation.name") == "chat")
    return calls and bool(said.get("llm.token_count.total") or said.get("gen_ai.usage.output_tokens"))
