"""Faults that are an answer: empty, refused, cut, or of the wrong shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any, TypeAlias

from taskrouter.simulator import filling
from taskrouter.simulator.answering import Answer, Call
from taskrouter.simulator.config import Fault
from taskrouter.simulator.request import ChatRequest, SchemaFormat
from taskrouter.simulator.schemas import validator

Way: TypeAlias = Callable[[Answer, ChatRequest, Random], Answer]

REFUSAL = "I'm sorry, but I can't help with that. (simulated)"


def spoilt(given: Answer, request: ChatRequest, fault: Fault | None, random: Random) -> Answer:
    """Return what the fault makes of an answer; the answer itself where the fault is of another kind."""
    return _WAYS[fault](given, request, random) if fault in _WAYS else given


def _empty(_given: Answer, _request: ChatRequest, _random: Random) -> Answer:
    return Answer(text="")


def _refused(_given: Answer, _request: ChatRequest, random: Random) -> Answer:
    if random.random() < 0.5:
        return Answer(refusal=REFUSAL)
    return Answer(text="", finish_reason="content_filter")


def _halved(given: Answer, _request: ChatRequest, _random: Random) -> Answer:
    """Cut the text, or the arguments of the last call."""
    text = given.text and given.text[: len(given.text) // 2]
    calls = given.calls
    if calls:
        arguments = calls[-1].arguments
        calls = (*calls[:-1], replace(calls[-1], arguments=arguments[: len(arguments) // 2]))
    return replace(given, text=text, calls=calls, finish_reason="length")


def _off_schema(given: Answer, request: ChatRequest, random: Random) -> Answer:
    wanted = request.response_format
    if not isinstance(wanted, SchemaFormat) or given.text is None:
        return given
    try:
        value = json.loads(given.text)
    except ValueError:  # already cut at the limit of tokens
        return given
    fits = validator(wanted.json_schema.schema_ or {}).is_valid
    broken = [other for other in _others(value) if not fits(other)]
    return replace(given, text=json.dumps(random.choice(broken), ensure_ascii=False))


def _others(value: dict[str, Any]) -> Iterator[Any]:
    """Yield documents that may break the schema; the last one does, as a schema's root is an object."""
    for key, child in value.items():
        rest = {other: kept for other, kept in value.items() if other != key}
        yield rest
        yield {**rest, f"{key}_value": child}
        yield {**value, key: [child] if isinstance(child, dict) else {"value": child}}
    yield [value]


def _broken_call(given: Answer, request: ChatRequest, random: Random) -> Answer:
    """Return a tool call that cannot be run, in one of three ways. Without tools the answer stays."""
    if not request.tools or request.tool_choice == "none":
        return given
    function = request.tools[0].function
    call = (
        given.calls[0]
        if given.calls
        else Call(id=f"call_{random.getrandbits(96):024x}", name=function.name, arguments="")
    )
    arguments = call.arguments or json.dumps(filling.fill(function.parameters or {"type": "object"}, ""))
    way = random.choice(("truncated", "unknown_tool", "wrong_shape"))
    if way == "truncated":
        # One brace less than needed: no prefix of an object is JSON.
        call = replace(call, arguments=arguments[: max(1, len(arguments) // 2)])
    elif way == "unknown_tool":
        call = replace(call, name=f"{call.name[:50]}_v2", arguments=arguments)
    else:
        call = replace(call, arguments=json.dumps([arguments]))
    return Answer(calls=(call,), finish_reason="tool_calls")


_WAYS: dict[Fault | None, Way] = {
    "empty_answer": _empty,
    "empty_stream": _empty,
    "refusal": _refused,
    "truncated": _halved,
    "wrong_schema": _off_schema,
    "invalid_tool_call": _broken_call,
}
