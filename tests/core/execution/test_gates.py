"""What a whole answer must pass, played on the engine without a network."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.execution.scripts import END, Play, call, engine, text

from taskrouter import ResponseView, Step
from taskrouter.errors import BadAnswer
from taskrouter.execution.gates import fault

ASK = [{"role": "user", "content": "rain?"}]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}


def tool_step(parameters: Any) -> Step:
    return Step(messages=ASK, tools=[{"type": "function", "function": {"name": "weather", "parameters": parameters}}])


def schema_step(schema: Any) -> Step:
    return Step(messages=ASK, response_schema=schema)


def detail(view: ResponseView, step: Step) -> str:
    """What is wrong with the answer; empty if nothing is."""
    error = fault(view, step, "m")
    assert error is None or isinstance(error, BadAnswer)
    return str(error).removeprefix("model 'm' ") if error else ""


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ("{}", "required"),
        ("", "required"),
        ('{"city": 3}', "properties/city/type"),
        ('{"city": "Oslo", "days": "two"}', "properties/days/type"),
        ('{"city": "Oslo", "secret": 1}', "additionalProperties"),
    ],
)
def test_arguments_that_break_their_schema_are_a_failed_attempt(arguments: str, place: str) -> None:
    step = tool_step(CITY)
    play = Play(engine(step=step).answer(), [call("weather", arguments), call("weather", '{"city": "Oslo"}')])
    assert play.outcome is not None
    assert [a.error_type for a in play.outcome.attempts] == ["bad_answer", None]
    assert (
        detail(call("weather", arguments), step) == f"called 'weather' with arguments that break its schema at {place}"
    )


@pytest.mark.parametrize(
    "answer", ["Rain.", '{"city": 3}', '{"city": "Os', "[]", '```json\n{"city": "Oslo"}\n```', "[" * 100_000]
)
def test_structured_output_that_breaks_its_schema_is_a_failed_attempt(answer: str) -> None:
    play = Play(engine(step=schema_step(CITY)).answer(), [text(answer), text('{"city": "Oslo"}')])
    assert play.outcome is not None
    assert [a.error_type for a in play.outcome.attempts] == ["bad_answer", None]
    assert play.outcome.attempts[0].cost_usd


def test_an_answer_is_never_quoted() -> None:
    for view, step in (
        (text('{"city": "my secret", "my secret": 1}'), schema_step(CITY)),
        (text("my secret"), schema_step(CITY)),
        (call("weather", '{"my secret": "my secret"}'), tool_step(CITY)),
    ):
        assert detail(view, step)
        assert "my secret" not in detail(view, step)


def test_a_tool_call_on_the_way_to_a_structured_answer_is_no_answer_yet() -> None:
    tools = tool_step(CITY).tools
    step = Step(messages=ASK, tools=tools, response_schema={"type": "object", "required": ["total"]})
    assert detail(call("weather", '{"city": "Oslo"}'), step) == ""
    assert detail(text("{}"), step).endswith("breaks the response schema at required")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"city": {"type": "any"}}},
        {"type": "object", "properties": {"city": {"pattern": "("}}},
        {"type": "object", "properties": {"city": {"enum": "Bergen"}}},
        {"type": "object", "properties": {"city": {"$ref": "#/$defs/Nowhere"}}},
        {"type": "object", "properties": {"city": {"$ref": "https://example.com/city.json"}}},
        {"type": "object", "$schema": "http://example.com/no-such-dialect"},
        {"type": "object", "properties": {"city": {"default": object()}}},
        {"$ref": "#"},
        {},
        None,
    ],
    ids=[
        "type",
        "pattern",
        "enum",
        "dead reference",
        "far reference",
        "dialect",
        "no JSON",
        "endless",
        "empty",
        "none",
    ],
)
def test_a_schema_that_cannot_be_used_fails_no_answer(schema: Any) -> None:
    assert detail(call("weather", '{"city": "Oslo"}'), tool_step(schema)) == ""
    assert detail(text('{"city": "Oslo"}'), schema_step(schema)) == ""


@pytest.mark.parametrize("freeze", [MappingProxyType, dict])
def test_a_schema_may_be_any_mapping(freeze: Any) -> None:
    schema = freeze({**CITY, "properties": freeze(CITY["properties"]), "required": ("city",)})
    assert detail(text('{"city": "Oslo"}'), schema_step(schema)) == ""
    assert detail(text("{}"), schema_step(schema)).endswith("at required")


def test_a_stream_is_not_checked_for_it_has_reached_its_reader() -> None:
    play = Play(engine(step=schema_step(CITY)).stream(), [ResponseView(), text("Rain.", finish_reason="stop"), END])
    assert play.emitted == ["Rain."]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.dictionaries(st.sampled_from(["type", "properties", "required", "items", "enum", "$ref"]), JSON))
def test_no_schema_and_no_answer_break_the_check(answer: Any, schema: dict[str, Any]) -> None:
    assert isinstance(detail(text(json.dumps(answer)), schema_step(schema)), str)
