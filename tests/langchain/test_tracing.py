"""Our spans beside those of OpenInference, which never makes its own the current ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langchain_taskrouter import RoutedChatModel
from taskrouter import Router
from taskrouter.simulator import RunningServer

from .conftest import FAST, PRICES, QUESTION, ModelOf

WAYS = ["invoke", "ainvoke", "stream", "astream"]


@pytest.fixture
def instrumented(provider: TracerProvider) -> Iterator[None]:
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield
    instrumentor.uninstrument()


@pytest.fixture
def traced(model_of: ModelOf, provider: TracerProvider) -> Any:
    """Make a routed model whose spans go where the instrumentation's go."""

    def make(**telemetry: Any) -> RoutedChatModel:
        pool = [{"id": name, "capabilities": {"tools": True}, **PRICES} for name in ("first", "second")]
        config: Any = {"execution": FAST, "telemetry": telemetry}
        router = Router(pool, "first", config=config, tracer_provider=provider)
        return RoutedChatModel({"first": model_of("first"), "second": model_of("second")}, router=router)

    return make


def ask(model: Any, way: str, given: Any = QUESTION) -> None:
    async def astream() -> None:
        async for _ in model.astream(given):
            pass

    async def ainvoke() -> None:
        await model.ainvoke(given)

    {
        "invoke": lambda: model.invoke(given),
        "stream": lambda: list(model.stream(given)),
        "ainvoke": lambda: asyncio.run(ainvoke()),
        "astream": lambda: asyncio.run(astream()),
    }[way]()


def tree(exporter: InMemorySpanExporter) -> dict[str, str | None]:
    """Return every span's parent by its name, the last word of the route span's left out."""
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: name_of(span) for span in spans}
    assert len({span.context.trace_id for span in spans}) == 1
    return {name_of(span): names[span.parent.span_id] if span.parent else None for span in spans}


def name_of(span: ReadableSpan) -> str:
    return "route" if span.name.startswith("route ") else span.name


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("way", WAYS)
def test_a_route_lies_beneath_the_span_of_its_own_call(traced: Any, exporter: InMemorySpanExporter, way: str) -> None:
    ask(traced(), way)
    assert tree(exporter) == {"RoutedChatModel": None, "route": "RoutedChatModel", "chat first": "route"}


@pytest.mark.usefixtures("instrumented")
def test_routes_of_an_agent_lie_in_its_one_trace(traced: Any, exporter: InMemorySpanExporter, weather: Any) -> None:
    agent = create_agent(traced(), [weather])
    ask(agent, "ainvoke", {"messages": [("user", "What is the weather in Oslo?")]})
    parents = tree(exporter)
    assert parents["route"] == "RoutedChatModel"
    assert parents["RoutedChatModel"] == "model"


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("owner", ["taskrouter", "framework"])
def test_with_the_framework_as_owner_tokens_are_counted_once(
    traced: Any, exporter: InMemorySpanExporter, owner: str
) -> None:
    traced(usage_owner=owner).invoke(QUESTION)
    kinds = {
        name_of(span).split()[0]: (span.attributes or {}).get("openinference.span.kind")
        for span in exporter.get_finished_spans()
    }
    assert kinds["RoutedChatModel"] == "LLM"
    assert kinds["route"] == "CHAIN"
    assert kinds["chat"] == (
        "CHAIN" if owner == "framework" else None
    )  # one without a kind is told by its gen_ai names


@pytest.mark.parametrize("way", WAYS)
def test_without_an_instrumentation_the_current_span_is_the_parent(
    traced: Any, exporter: InMemorySpanExporter, provider: TracerProvider, way: str
) -> None:
    model = traced()
    with provider.get_tracer("application").start_as_current_span("request"):
        ask(model, way)
    assert tree(exporter)["route"] == "request"


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("way", WAYS)
def test_a_fallback_and_a_reader_that_leaves_keep_the_tree(
    traced: Any, exporter: InMemorySpanExporter, server: RunningServer, way: str
) -> None:
    server.script("first", "server_error")
    ask(traced(), way)
    statuses = {span.name: span.status.status_code.name for span in exporter.get_finished_spans()}
    assert sorted(statuses.values()).count("ERROR") == 1
    assert tree(exporter)["route"] == "RoutedChatModel"
