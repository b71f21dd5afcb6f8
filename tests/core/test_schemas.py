"""Schemas arrive in many shapes: what is JSON is taken, what is not is refused in words, before any call."""

from __future__ import annotations

import re
from collections import ChainMap, OrderedDict
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel

from taskrouter import InvalidStepError, Step
from taskrouter.schemas import SchemaCheck, gathered_faults

USER = [{"role": "user", "content": "Fill this in."}]


class Invoice(BaseModel):
    total: float


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"inner": schema}}
    return schema


def endless() -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"self": schema}
    return schema


def check(parameters: Any, *, times: int = 2) -> None:
    """Check it as a tool's parameters; twice, because what was found valid is remembered."""
    checker = SchemaCheck()
    for _ in range(times):
        checker.check(Step(messages=USER, tools=[{"type": "function", "function": {"name": "f", **parameters}}]))


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "required": ("a", "b")},
        OrderedDict(type="object"),
        MappingProxyType({"type": "object", "properties": MappingProxyType({"a": {}})}),
        ChainMap({"type": "object"}),
        {"$schema": "http://example.com/no-such-dialect", "type": "object"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"type": "object", "properties": {"a": {"default": float("nan")}}},
        nested(20),
        Invoice.model_json_schema(),
    ],
)
def test_every_mapping_that_is_json_is_taken(schema: Any) -> None:
    check({"parameters": schema})
    SchemaCheck().check(Step(messages=USER, response_schema=schema))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "object", "default": datetime(2026, 1, 1)}, "holds values that are no JSON"),  # noqa: DTZ001
        ({"type": "object", "properties": {"a": {"type": int}}}, "holds values that are no JSON"),
        ({"type": "object", "required": {"a"}}, "holds values that are no JSON"),
        (nested(5000), "nested too deeply"),
        (endless(), "refers to itself"),
        ({"$schema": 3}, r"at \$schema: wrong 'type'"),
        ({"type": "object", "required": "a"}, "at required: wrong 'type'"),
        (OrderedDict(type="objekt"), "at type: wrong"),
    ],
)
def test_what_is_no_schema_is_refused_in_words(schema: Any, message: str) -> None:
    with pytest.raises(InvalidStepError, match=rf"Step.tools\[0\] \('f'\): 'parameters' .*{message}"):
        check({"parameters": schema}, times=1)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Invoice, "Step.response_schema is the class Invoice; pass Invoice.model_json_schema()"),
        (Invoice(total=1), "Step.response_schema is a Invoice; it must be a JSON Schema, as a mapping"),
        (True, "Step.response_schema is a bool; it must be a JSON Schema, as a mapping"),
        ("object", "Step.response_schema is a str; it must be a JSON Schema, as a mapping"),
        ([], "Step.response_schema is a list; it must be a JSON Schema, as a mapping"),
    ],
)
def test_a_response_schema_of_another_kind_is_told_what_to_pass(schema: Any, message: str) -> None:
    with pytest.raises(InvalidStepError, match=re.escape(message)):
        SchemaCheck().check(Step(messages=USER, response_schema=schema))


def faulty(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "any"}}}


def test_a_deep_fault_is_warned_of_once_and_taken(caplog: pytest.LogCaptureFixture) -> None:
    check({"parameters": faulty("a")}, times=3)
    assert [record.name for record in caplog.records] == ["taskrouter.schemas"]
    assert "at properties/a/type: wrong 'anyOf'; some providers will refuse it" in caplog.text


def test_deep_faults_can_be_gathered_instead_and_are_logged_again_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    with gathered_faults() as faults:
        for name in ("a", "b", "a"):
            check({"parameters": faulty(name)}, times=1)
    assert len(faults) == 2
    assert not caplog.records
    check({"parameters": faulty("a")}, times=1)
    assert len(caplog.records) == 1
