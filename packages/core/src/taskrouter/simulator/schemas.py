"""What the API demands of JSON Schemas in tools and response formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012


def validator(schema: Mapping[str, Any]) -> Validator:
    """Return a validator that never fetches a reference from elsewhere."""
    return Draft202012Validator(schema, registry=Registry())


def problem(schema: Mapping[str, Any] | None, *, strict: bool) -> str | None:
    """Say what is wrong with the schema of a tool or of a structured answer, or None."""
    if schema is None:
        return None
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return error.message
    kind = schema.get("type")
    if kind != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if "properties" not in schema:
        return "In context=(), object schema missing properties."
    return _bad_reference(schema) or (_not_strict(schema) if strict else None)


def _bad_reference(schema: Mapping[str, Any]) -> str | None:
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for path, node in _nodes(schema):
        passed: set[str] = set()
        target: Any = node
        while isinstance(target, Mapping) and isinstance(reference := target.get("$ref"), str):
            if not reference.startswith("#"):
                return f"In context={path}, reference {reference!r} must point into the schema itself ('#/...')."
            if reference in passed:
                return f"In context={path}, reference {reference!r} leads back to itself."
            passed.add(reference)
            try:
                target = resolver.lookup(reference).contents
            except Unresolvable:
                return f"In context={path}, reference {reference!r} cannot be resolved."
    return None


def _not_strict(schema: Mapping[str, Any]) -> str | None:
    for path, node in _nodes(schema):
        if node.get("type") != "object" and "properties" not in node:
            continue
        if node.get("additionalProperties") is not False:
            return f"In context={path}, 'additionalProperties' is required to be supplied and to be false."
        missing = sorted(set(node.get("properties", {})) - set(node.get("required", ())))
        if missing:
            return (
                f"In context={path}, 'required' is required to be supplied and to be an array including every key "
                f"in properties. Missing {missing[0]!r}."
            )
    return None


def _nodes(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Walk the schema and its subschemas, not the values in `enum`, `const`, `default` and `examples`."""
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for key in ("properties", "$defs", "definitions", "patternProperties"):
        for name, child in (schema.get(key) or {}).items():
            yield from _nodes(child, (*path, key, name))
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for index, child in enumerate(schema.get(key) or ()):
            yield from _nodes(child, (*path, key, str(index)))
    for key in ("items", "additionalProperties", "not", "contains"):
        yield from _nodes(schema.get(key), (*path, key))
