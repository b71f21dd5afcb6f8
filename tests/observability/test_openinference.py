"""Beside OpenInference's instrumentation of LangChain: one trace, the right parents, and tokens counted once.

More of it, and LlamaIndex's, is in `tests/langchain/test_tracing.py` and `tests/llamaindex/test_tracing.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from openinference.instrumentation.langchain import LangChainInstrumentor
from tests.adapters.contract import Way
from tests.adapters.doors.langchain import DOOR
from tests.observability.counting import counted_by_genai, counted_by_openinference, lineage
from tests.observability.scene import Scene
from tests.observability.steps import traced
from tests.standins import Vendors
from tests.standins.brain import GREETING

from taskrouter.observability import names as n

WAYS = pytest.mark.parametrize("way", ["ask", "stream", "aask", "astream"])
FIRST, SECOND = DOOR.wires
WORDS = len(GREETING.split())


@tool
def get_weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"It is sunny in {city}."


@pytest.fixture
def scene(vendors: Vendors) -> Iterator[Scene]:
    """LangChain's door, with an instrumentation that reports to where ours does."""
    scene = Scene(DOOR, vendors)
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=scene._provider)
    yield scene
    instrumentor.uninstrument()
    assert scene.unended.names == {}


@WAYS
async def test_a_fallback_lies_beneath_the_span_of_its_call(scene: Scene, way: Way) -> None:
    scene.vendors.fail(FIRST.model, "error")
    routed = scene.routed((FIRST, SECOND))
    with scene.request_span():
        await scene.ask(routed, way)
    (step,) = traced(scene.spans, parent="RoutedChatModel")
    assert step.each(n.ATTEMPT_OUTCOME) == ["failed", "ok"]
    assert lineage(step.route, scene.spans) == ["RoutedChatModel", "request"]


@WAYS
async def test_with_the_framework_as_owner_tokens_are_counted_once(scene: Scene, way: Way) -> None:
    await scene.ask(scene.routed((FIRST, SECOND), telemetry={"usage_owner": "framework"}), way)
    (step,) = traced(scene.spans, parent="RoutedChatModel")
    assert counted_by_openinference(scene.spans) == WORDS
    assert counted_by_genai(scene.spans) == 0, "OpenInference has names of its own"
    assert step.said[n.USAGE_OUTPUT] == WORDS, "and we keep our own account"
    assert step.each(n.COST_TOTAL) == [step.said[n.COST_TOTAL]]


async def test_with_us_as_owner_both_are_counted(scene: Scene) -> None:
    await scene.ask(scene.routed((FIRST, SECOND)), "ask")
    assert counted_by_openinference(scene.spans) == 2 * WORDS


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_steps_of_an_agent_lie_beneath_its_nodes(scene: Scene, way: str) -> None:
    agent = create_agent(scene.routed((FIRST, SECOND)), [get_weather], name="helper")
    asked: Any = {"messages": [("user", "What is the weather in Oslo?")]}
    with scene.request_span():
        if way == "invoke":
            agent.invoke(asked)
        else:
            await agent.ainvoke(asked)
    steps = traced(scene.spans, parent="RoutedChatModel")
    assert [lineage(step.route, scene.spans) for step in steps] == [
        ["RoutedChatModel", "model", "helper", "request"]
    ] * 2
