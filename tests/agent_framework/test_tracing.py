"""Our spans beneath the framework's: one chat span for each answer, and the candidate opens none."""

from __future__ import annotations

from typing import Any

import pytest
from agent_framework import Agent, FunctionTool
from agent_framework.exceptions import ChatClientException
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.standins import Vendors

from .conftest import CHAT, STORING, Routed, said

pytestmark = pytest.mark.usefixtures("traced")
WAYS = ["whole", "streamed"]
CANARIES = ("prompt-canary", "key-canary")


def tree(exporter: InMemorySpanExporter) -> list[str]:
    """Return the spans in the order of their beginnings, each indented beneath its parent."""
    spans = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    known = {span.context.span_id: span for span in spans if span.context is not None}
    return [f"{'  ' * _depth(span, known)}{_name(span)}" for span in spans]


def _depth(span: ReadableSpan, known: dict[int, ReadableSpan]) -> int:
    return 0 if span.parent is None else 1 + _depth(known[span.parent.span_id], known)


def _name(span: ReadableSpan) -> str:
    return "route" if span.name.startswith("route ") else span.name


async def run(agent: Any, way: str, question: str) -> Any:
    if way == "whole":
        return await agent.run(question)
    return await agent.run(question, stream=True).get_final_response()


@pytest.mark.parametrize("way", WAYS)
async def test_an_agents_trace_is_one_tree(
    routed: Routed, vendors: Vendors, weather: FunctionTool, exporter: InMemorySpanExporter, way: str
) -> None:
    vendors.fail(CHAT, "error")
    await run(Agent(routed(), name="planner", tools=[weather]), way, "What is the weather in Oslo?")
    step = [f"  chat {STORING}", "    route", "      chat openai/chat", "      chat openai/storing"]
    assert tree(exporter) == ["invoke_agent planner", *step, "  execute_tool get_weather", *step]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_frameworks_span_tells_who_answered(
    routed: Routed, exporter: InMemorySpanExporter, *, stream: bool
) -> None:
    ask: Any = routed().get_response
    answer = ask(said("Hello"), stream=stream)
    await (answer.get_final_response() if stream else answer)
    assert tree(exporter) == [f"chat {CHAT}", "  route", "    chat openai/chat"]
    *_, ours = exporter.get_finished_spans()
    attributes = ours.attributes or {}
    assert (attributes["gen_ai.request.model"], attributes["gen_ai.response.model"]) == (CHAT, CHAT)
    assert "taskrouter" in {attributes.get("gen_ai.provider.name"), attributes.get("gen_ai.system")}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_is_on_the_frameworks_span_too(
    routed: Routed, vendors: Vendors, exporter: InMemorySpanExporter, *, stream: bool
) -> None:
    vendors.fail(CHAT, "error")
    vendors.fail(STORING, "broken" if stream else "error")
    ask: Any = routed().get_response
    answer = ask(said("Hello"), stream=stream)
    with pytest.raises(ChatClientException):
        await (answer.get_final_response() if stream else answer)
    assert tree(exporter) == ["chat unknown", "  route", "    chat openai/chat", "    chat openai/storing"]
    assert {span.status.status_code.name for span in exporter.get_finished_spans()} == {"ERROR"}


@pytest.mark.parametrize("way", WAYS)
async def test_no_span_and_no_log_has_what_was_said(
    routed: Routed,
    vendors: Vendors,
    exporter: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    caplog.set_level("DEBUG", logger="taskrouter")
    caplog.set_level("DEBUG", logger="agent_framework")
    vendors.fail(CHAT, "error")
    client = routed()
    client._pool["chat"].client.client.api_key = "key-canary"  # type: ignore[attr-defined] # OpenAI's has one
    await run(Agent(client, name="planner"), way, "Hello, prompt-canary")
    shown = caplog.text + "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "gen_ai" in shown
    assert not [canary for canary in CANARIES if canary in shown]
    assert "key-canary" not in str([request.body for request in vendors.received])
