"""Cheap checks that turn a useless answer into a failed attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from taskrouter.errors import BadAnswer, ModelCallError, Refused
from taskrouter.outcome import ResponseView, ToolCall
from taskrouter.step import Step, Tool

_NOT_JSON = (ValueError, TypeError, RecursionError)


def fault(view: ResponseView, step: Step, model: str) -> ModelCallError | None:
    """Return what is wrong with a complete answer, or None.

    It is wrong if it is refused or empty, calls a tool in a way that cannot be run, or breaks the response schema.
    """
    if view.refused or view.finish_reason == "content_filter":
        return Refused(model)
    if not (view.text or view.tool_calls):
        return BadAnswer(model, detail="gave an empty answer")
    detail: str | None = None
    if not view.tool_calls:
        detail = _wrong_text(view.text, step.response_schema)
    elif step.tools:
        offered = {tool["function"]["name"]: tool for tool in step.tools}
        detail = next(filter(None, (_wrong_call(call, offered) for call in view.tool_calls)), None)
    return BadAnswer(model, detail=detail) if detail else None


def _wrong_text(text: str, schema: Mapping[str, Any] | None) -> str | None:
    if schema is None:
        return None
    try:
        answer = json.loads(text)
    except _NOT_JSON:
        return "was asked for structured output and gave text that is not JSON"
    place = _violation(answer, schema)
    return place and f"gave structured output that breaks the response schema at {place}"


def _wrong_call(call: ToolCall, offered: Mapping[str, Tool]) -> str | None:
    if call.name not in offered:
        return f"called a tool that was not offered (offered: {', '.join(sorted(offered))})"
    try:
        arguments = json.loads(call.arguments or "{}")
    except _NOT_JSON:
        return f"called {call.name!r} with arguments that are not JSON"
    if not isinstance(arguments, dict):
        return f"called {call.name!r} with arguments that are no JSON object"
    place = _violation(arguments, offered[call.name]["function"].get("parameters"))
    return place and f"called {call.name!r} with arguments that break its schema at {place}"


def _violation(value: Any, schema: Mapping[str, Any] | None) -> str | None:
    """Return the place in the schema that the value breaks, or None: also where the schema itself cannot be used.

    The place is one of the schema, for an answer may not be quoted.
    """
    if not schema:
        return None
    try:
        validator = _validator(json.dumps(schema, default=dict))
        error = None if validator is None else next(validator.iter_errors(value), None)
    except Exception:  # noqa: BLE001 - jsonschema raises whatever a faulty schema leads to: a reference to nothing, ...
        return None
    return None if error is None else "/".join(str(part) for part in error.absolute_schema_path)


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    """Return a validator for a schema, as JSON text, or None where the schema has a fault, however deep inside."""
    # Imported here because it takes longer than the rest of the router, and many applications have no tools.
    jsonschema = import_module("jsonschema")
    plain = json.loads(schema)
    dialect = jsonschema.validators.validator_for(plain, default=jsonschema.Draft202012Validator)
    try:
        dialect.check_schema(plain)
    except jsonschema.SchemaError:
        return None
    # Without a registry of its own it would fetch references to other documents over the network.
    return dialect(plain, registry=import_module("referencing").Registry())
