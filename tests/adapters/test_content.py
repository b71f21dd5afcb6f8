"""Captured content: every door hands on what is asked and answered, and tells nothing where nobody wants it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.adapters.contract import Bench, Pair, Way
from tests.adapters.door import Assistant, Call, Result, System, User

from taskrouter.observability import names as n

CONTENT = (n.SYSTEM_INSTRUCTIONS, n.INPUT_MESSAGES, n.TOOL_DEFINITIONS, n.OUTPUT_MESSAGES)


def weather(city: str) -> str:
    """Look up the weather of a city."""
    return city


def captured(bench: Bench) -> list[dict[str, Any]]:
    """The content of every call, in order."""
    chats = [dict(span.attributes or {}) for span in bench.spans if span.name.startswith("chat ")]
    return [{name: json.loads(str(chat[name])) for name in CONTENT if name in chat} for chat in chats]


async def conversation(bench: Bench, way: Way, pair: Pair, **config: Any) -> Any:
    call = Call("call_1", "weather", {"city": "Paris"})
    history = (
        System("Be brief."),
        User("How is it?"),
        Assistant(calls=[call]),
        Result(call, "rainy"),
        User("So?"),
    )
    routed = bench.routed(pair, **config)
    return await bench.ask(routed, way, bench.request(*history, tools=[weather]))


async def test_every_door_hands_on_what_is_asked_and_answered(bench: Bench, way: Way, pair: Pair) -> None:
    reply = await conversation(bench, way, pair, telemetry={"content": "SPAN_ONLY"})
    (said,) = captured(bench)
    assert said[n.SYSTEM_INSTRUCTIONS] == [{"type": "text", "content": "Be brief."}]
    roles = [message["role"] for message in said[n.INPUT_MESSAGES]]
    assert roles == ["user", "assistant", "tool", "user"]
    user, assistant, tool, last = (message["parts"] for message in said[n.INPUT_MESSAGES])
    assert user == [{"type": "text", "content": "How is it?"}]
    assert last == [{"type": "text", "content": "So?"}]
    called = next(part for part in assistant if part["type"] == "tool_call")
    assert (called["name"], called["arguments"]) == ("weather", {"city": "Paris"})
    assert tool == [{"type": "tool_call_response", "id": called["id"], "response": "rainy"}]
    (definition,) = said[n.TOOL_DEFINITIONS]
    assert (definition["type"], definition["name"]) == ("function", "weather")
    assert "weather of a city" in definition["description"]
    assert "city" in definition["parameters"]["properties"]
    (answer,) = said[n.OUTPUT_MESSAGES]
    told = "".join(part["content"] for part in answer["parts"] if part["type"] == "text")
    assert told == reply.text


@pytest.mark.parametrize("switched", ["unset", "NO_CONTENT"])
async def test_without_being_asked_no_door_tells_a_word(
    bench: Bench, way: Way, pair: Pair, switched: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", raising=False)
    telemetry = {} if switched == "unset" else {"content": switched}
    await conversation(bench, way, pair, telemetry=telemetry)
    assert captured(bench) == [{}]
