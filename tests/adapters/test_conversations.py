"""Conversations that change models: calls and results stay together, and nothing of one vendor reaches another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.adapters.contract import Bench, Pair, Way, picture
from tests.adapters.door import (
    ANTHROPIC,
    OPENAI,
    Assistant,
    Call,
    Lacks,
    Reply,
    Request,
    Result,
    System,
    Turn,
    User,
    Wire,
)
from tests.standins.brain import GREETING, THOUGHT


def weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"It is sunny in {city}."


def clock(city: str) -> str:
    """Look up the time of a city."""
    return f"It is noon in {city}."


TOOLS = (weather, clock)
ONE = "What is the weather in 'Paris'?"
TWO = "Tell me weather and clock of 'Paris' at once."
SUNNY, NOON = weather("Paris"), clock("Paris")
TOLD = {"weather": SUNNY, "clock": NOON}


async def test_a_tool_is_called_as_the_vendor_was_asked(bench: Bench, way: Way, pair: Pair) -> None:
    reply = await bench.ask(bench.routed(pair), way, bench.request(ONE, tools=TOOLS))
    assert [(call.name, call.arguments) for call in reply.calls] == [("weather", {"city": "Paris"})]
    assert [call.name for call in bench.outcome.view.tool_calls] == ["weather"]
    assert offered(pair[0], bench.last_to(pair[0]).body) == ["weather", "clock"]


async def test_tools_are_offered_to_whoever_stands_in(bench: Bench, way: Way, pair: Pair) -> None:
    bench.vendors.fail(pair[0].model, "unavailable")
    reply = await bench.ask(bench.routed(pair), way, bench.request(ONE, tools=TOOLS))
    assert [(call.name, call.arguments) for call in reply.calls] == [("weather", {"city": "Paris"})]
    assert bench.asked == [pair[0].model, pair[1].model]


@pytest.mark.parametrize(("question", "names"), [(ONE, ["weather"]), (TWO, ["weather", "clock"])], ids=["one", "two"])
async def test_calls_of_one_vendor_are_answered_to_the_other(
    bench: Bench, way: Way, pair: Pair, question: str, names: list[str]
) -> None:
    first, second = pair
    routed = bench.routed(pair)
    asked = bench.request(System("Be brief."), question, tools=TOOLS)
    called = await bench.ask(routed, way, asked)
    assert [call.name for call in called.calls] == names
    assert len({call.id for call in called.calls}) == len(names)
    bench.vendors.fail(first.model, "unavailable")
    answered = await bench.ask(routed, way, went_on(bench, asked, called))
    assert answered.text == f"The tool says: {TOLD[names[-1]]}"
    assert bench.asked == [first.model, first.model, second.model]
    said, heard = pairs(second, bench.last_to(second).body)
    assert said == heard
    assert len(set(said)) == len(names)


async def test_a_conversation_goes_there_and_back(bench: Bench, way: Way, pair: Pair) -> None:
    first, second = pair
    routed = bench.routed(pair)
    history = bench.request(ONE, tools=TOOLS)
    for answering, failing in ((first, second), (second, first), (first, second)):
        bench.vendors.heal(answering.model)
        bench.vendors.fail(failing.model, "error")
        called = await bench.ask(routed, way, history)
        told = await bench.ask(routed, way, went_on(bench, history, called))
        assert bench.outcome.model == answering.id
        assert told.text == f"The tool says: {SUNNY}"
        messages = [*went_on(bench, history, called).messages, *told.native]
        history = Request(messages=[*messages, *bench.door.messages([User(ONE)])], tools=TOOLS)
    said, heard = pairs(first, bench.last_to(first).body)
    assert said == heard
    assert len(set(said)) == 3


async def test_calls_that_nobody_here_made_are_told_to_every_vendor(bench: Bench, way: Way, pair: Pair) -> None:
    calls = [Call("call_1", "weather", {"city": "Paris"}), Call("call_2", "clock", {"city": "Paris"})]
    results = [Result(calls[0], SUNNY), Result(calls[1], NOON)]
    history: list[Turn] = [System("Be brief."), User(TWO), Assistant("Let me see.", calls), *results]
    bench.vendors.fail(pair[0].model, "unavailable")
    reply = await bench.ask(bench.routed(pair), way, bench.request(*history, tools=TOOLS))
    assert reply.text == f"The tool says: {NOON}"
    sent = bench.last_to(pair[1]).body
    said, heard = pairs(pair[1], sent)
    assert said == heard
    assert len(set(said)) == 2
    assert "Let me see." in str(sent)


HARD: dict[str, tuple[list[str], int]] = {
    "ids of another form": (["call:1|fc_1", "call:2|fc_2"], 2),
    "ids that are too long": (["a" * 70, "b" * 70], 2),
    "one id for two calls": (["call_1", "call_1"], 2),
    "a call without a result": (["call_1", "call_2"], 1),
}
"""Ids of two calls, and how many of the two were answered: what no vendor takes, or not every one."""


@pytest.mark.parametrize("case", HARD)
async def test_calls_that_a_vendor_would_refuse_are_mended(bench: Bench, way: Way, pair: Pair, case: str) -> None:
    ids, answered = HARD[case]
    calls = [Call(id_, tool.__name__, {"city": "Paris"}) for id_, tool in zip(ids, TOOLS, strict=True)]
    results = [Result(call, TOLD[call.name]) for call in calls[:answered]]
    history: list[Turn] = [
        User(TWO),
        Assistant(calls=calls),
        *results,
        User("Go on."),
        Assistant("Well."),
        User("Yes?"),
    ]
    bench.vendors.fail(pair[0].model, "unavailable")
    assert (await bench.ask(bench.routed(pair), way, bench.request(*history, tools=TOOLS))).text == GREETING
    said, heard = pairs(pair[1], bench.last_to(pair[1]).body)
    assert said == heard
    assert len(set(said)) == 2
    assert bench.asked == [wire.model for wire in pair]


async def test_thoughts_stay_with_who_had_them(bench: Bench, way: Way) -> None:
    thinking, other = sorted(bench.door.wires, key=lambda wire: wire is OPENAI)
    try:
        thinker = bench.door.candidate(thinking, bench.vendors.url, thinks=True)
    except Lacks:
        assert "thinking" in bench.door.lacks
        return
    routed = bench.routed((thinking, other), candidates={thinking.id: thinker})
    thought = await bench.ask(routed, way)
    assert thought.text == GREETING
    history = Request(messages=[*bench.request().messages, *thought.native, *bench.request("And now?").messages])
    bench.vendors.fail(thinking.model, "unavailable")
    answered = await bench.ask(routed, way, history)
    assert answered.text == GREETING
    sent = str(bench.last_to(other).body)
    assert GREETING in sent
    assert not [word for word in (THOUGHT, "signature", "thinking", "reasoning") if word in sent]
    bench.vendors.heal(thinking.model)
    back = Request(messages=[*history.messages, *answered.native, *bench.request("Thanks").messages])
    assert (await bench.ask(routed, way, back)).text == GREETING
    assert bench.outcome.model == thinking.id


@pytest.mark.parametrize("fault", ["unavailable", "silent"])
async def test_the_callers_conversation_is_not_changed(bench: Bench, way: Way, pair: Pair, fault: Any) -> None:
    routed = bench.routed(pair, execution={"retries": 2, "backoff_base_s": 0.001, "backoff_max_s": 0.001})
    asked = bench.request(System("Be brief."), User("Hi"), Assistant("Yes? "), User(TWO), tools=TOOLS)
    called = await bench.ask(routed, way, asked)
    history = went_on(bench, asked, called)
    bench.vendors.fail(pair[0].model, fault)
    before, messages = picture(history.messages), list(history.messages)
    await bench.ask(routed, way, history)
    assert len(bench.outcome.attempts) > 1
    assert picture(history.messages) == before
    assert all(now is then for now, then in zip(history.messages, messages, strict=True))


def went_on(bench: Bench, asked: Request, called: Reply) -> Request:
    """Return a conversation with an answer and the results of its calls."""
    results = bench.door.messages([Result(call, TOLD[call.name]) for call in called.calls])
    return Request(messages=[*asked.messages, *called.native, *results], tools=asked.tools)


def offered(wire: Wire, body: Mapping[str, Any]) -> list[str]:
    """Return the names of the tools on a wire."""
    return [tool["function"]["name"] if wire is OPENAI else tool["name"] for tool in body["tools"]]


def pairs(wire: Wire, body: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the ids of the calls on a wire, and those of the results, each in order."""
    if wire is OPENAI:
        messages = body["messages"]
        calls = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
        return calls, [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    if wire is ANTHROPIC:
        blocks = [block for message in body["messages"] for block in _blocks(message["content"])]
        return _of(blocks, "tool_use", "id"), _of(blocks, "tool_result", "tool_use_id")
    return _of(body["input"], "function_call", "call_id"), _of(body["input"], "function_call_output", "call_id")


def _blocks(content: str | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return () if isinstance(content, str) else content


def _of(parts: Sequence[Mapping[str, Any]], kind: str, name: str) -> list[str]:
    return [part[name] for part in parts if part.get("type") == kind]
