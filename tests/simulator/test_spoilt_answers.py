"""Faults that are an answer: refused, cut, or of the wrong shape."""

from __future__ import annotations

import json
from random import Random

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.simulator import filling
from taskrouter.simulator.answering import Answer
from taskrouter.simulator.request import parse
from taskrouter.simulator.spoiling import REFUSAL, spoilt

SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "integer"}, "city": {"type": "string"}},
    "required": ["total", "city"],
    "additionalProperties": False,
}


def wanted(schema):
    return {"type": "json_schema", "json_schema": {"name": "Answer", "schema": schema}}


def test_a_refusal_comes_as_a_refusal_or_as_a_filtered_answer(faulty):
    choices = [faulty("refusal").choices[0] for _ in range(12)]
    ways = {(choice.message.refusal, choice.message.content, choice.finish_reason) for choice in choices}
    assert ways == {(REFUSAL, None, "stop"), (None, "", "content_filter")}


def test_a_streamed_refusal_comes_in_the_same_two_ways(faulty, sim):
    ways = set()
    for _ in range(12):
        chunks = list(faulty("refusal", stream=True))
        said = "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks)
        assert not any(chunk.choices[0].delta.content for chunk in chunks)
        ways.add((said, chunks[-1].choices[0].finish_reason))
    assert ways == {(REFUSAL, "stop"), ("", "content_filter")}
    assert {record.finish_reason for record in sim.requests} == {"stop", "content_filter"}


def test_a_truncated_answer_is_half_of_it_and_says_so(faulty):
    whole = faulty("ok")
    cut = faulty("truncated")
    text = whole.choices[0].message.content
    assert cut.choices[0].message.content == text[: len(text) // 2]
    assert cut.choices[0].finish_reason == "length"
    assert 0 < cut.usage.completion_tokens < whole.usage.completion_tokens


def test_a_truncated_stream_ends_in_order(faulty):
    chunks = list(faulty("truncated", stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == faulty("truncated").choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "length"


def test_a_truncated_tool_call_has_half_its_arguments(faulty, tool):
    (call,) = faulty("truncated", tools=[tool()]).choices[0].message.tool_calls
    with pytest.raises(json.JSONDecodeError):
        json.loads(call.function.arguments)


@pytest.mark.parametrize("stream", [False, True])
def test_a_structured_answer_of_the_wrong_schema_is_still_json(faulty, stream):
    answer = faulty("wrong_schema", response_format=wanted(SCHEMA), stream=stream)
    text = (
        "".join(chunk.choices[0].delta.content or "" for chunk in answer)
        if stream
        else answer.choices[0].message.content
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(text), SCHEMA)


def test_without_a_schema_there_is_none_to_break(faulty, tool):
    assert faulty("wrong_schema").choices[0].message.content == faulty("ok").choices[0].message.content
    (call,) = faulty("wrong_schema", tools=[tool()]).choices[0].message.tool_calls
    jsonschema.validate(json.loads(call.function.arguments), tool()["function"]["parameters"])


def test_an_answer_already_cut_at_its_limit_stays_as_it_is(faulty):
    cut = faulty("wrong_schema", response_format=wanted(SCHEMA), max_tokens=2).choices[0]
    assert cut.finish_reason == "length"
    assert len(cut.message.content) == 8


KINDS = st.sampled_from(["string", "integer", "number", "boolean", "null"])
LEAF = st.builds(lambda kind: {"type": kind}, KINDS)
NODES = st.recursive(
    LEAF | st.just({}),
    lambda child: (
        st.builds(lambda node: {"type": "array", "items": node}, child)
        | st.builds(
            lambda children, closed: {"type": "object", "properties": children, "additionalProperties": not closed},
            st.dictionaries(st.text("abc", min_size=1, max_size=3), child, max_size=3),
            st.booleans(),
        )
    ),
    max_leaves=5,
)
SCHEMAS = st.builds(
    lambda children, required: {
        "type": "object",
        "properties": children,
        "required": [key for key in children if required],
    },
    st.dictionaries(st.text("abc", min_size=1, max_size=3), NODES, max_size=4),
    st.booleans(),
)


@given(SCHEMAS, st.integers(0, 1000))
def test_whatever_the_schema_it_is_broken(schema, seed):
    messages = [{"role": "user", "content": "a: 1, b: yes"}]
    request = parse({"model": "m", "messages": messages, "response_format": wanted(schema)})
    good = Answer(text=json.dumps(filling.fill(schema, "a: 1, b: yes")))
    bad = spoilt(good, request, "wrong_schema", Random(seed))
    assert bad.text is not None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(bad.text), schema)
