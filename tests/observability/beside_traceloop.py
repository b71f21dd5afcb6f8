"""A program that asks through LangChain's door while Traceloop's instrumentation runs along, and says what came of it.

It is a process of its own (`test_traceloop.py`): what that instrumentation wraps once it never lets go of altogether.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from opentelemetry.instrumentation.langchain import LangchainInstrumentor
from tests.adapters.contract import Way
from tests.adapters.doors.langchain import DOOR
from tests.observability.counting import counted_by_genai, counted_by_openinference, lineage
from tests.observability.scene import Scene
from tests.observability.steps import traced
from tests.standins import serve

from taskrouter.observability import names as n

WAYS: tuple[Way, ...] = ("ask", "stream", "aask", "astream")
FIRST, SECOND = DOOR.wires


@tool
def get_weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"It is sunny in {city}."


def seen(scene: Scene) -> list[dict[str, Any]]:
    """Return what there is to see, and forget it."""
    spans = scene.spans
    steps = [
        {
            "above": lineage(step.route, spans),
            "outcomes": step.each(n.ATTEMPT_OUTCOME),
            "tokens": step.said[n.USAGE_OUTPUT],
            "openinference": counted_by_openinference(spans),
            "genai": counted_by_genai(spans),
            "beside": sorted(span.name for span in spans if span.name.endswith(".chat")),
        }
        for step in traced(spans)
    ]
    scene._exporter.clear()
    return steps


async def main(scene: Scene) -> dict[str, Any]:
    """Ask in every way, with either owner of the tokens, over a dead model, and through an agent."""
    found: dict[str, Any] = {}
    for owner in ("taskrouter", "framework"):
        routed = scene.routed((FIRST, SECOND), telemetry={"usage_owner": owner})
        for way in WAYS:
            with scene.request_span():
                await scene.ask(routed, way)
            found[f"{owner}, {way}"] = seen(scene)
    agent: Any = create_agent(routed, [get_weather], name="helper")
    with scene.request_span():
        await agent.ainvoke({"messages": [("user", "What is the weather in Oslo?")]})
    found["agent"] = seen(scene)
    scene.vendors.fail(FIRST.model, "error")
    for way in WAYS:
        with scene.request_span():
            await scene.ask(routed, way)
        found[f"fallback, {way}"] = seen(scene)
    return found


if __name__ == "__main__":
    with serve() as vendors:
        here = Scene(DOOR, vendors)
        LangchainInstrumentor().instrument(tracer_provider=here._provider)
        json.dump(asyncio.run(main(here)), sys.stdout)
        assert here.unended.names == {}
