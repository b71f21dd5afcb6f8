"""Arguments for a tool, or an object for a schema, out of the words of a question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_QUOTED = re.compile(r"(?<!\w)'([^']+)'(?!\w)")


def quoted(text: str) -> list[str]:
    """Return what stands in single quotes."""
    return _QUOTED.findall(text)


class Filler:
    """Fills a JSON Schema: numbers and quoted words of the question in their order, else the question itself."""

    def __init__(self, question: str) -> None:
        self._question = question.strip() or "nothing"
        self._numbers = [int(digits) for digits in re.findall(r"-?\d+", question)]
        self._quoted = quoted(question)

    def filled(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object for the schema of one."""
        return self._object(schema, schema)

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._value(part, root) for name, part in (schema.get("properties") or {}).items()}

    def _value(self, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
        schema = _resolved(schema, root)
        if given := [schema["const"]] if "const" in schema else schema.get("enum"):
            return given[0]
        match schema.get("type"):
            case "object":
                return self._object(schema, root)
            case "array":
                return [self._value(schema.get("items") or {}, root)]
            case "integer" | "number":
                return self._numbers.pop(0) if self._numbers else 1
            case "boolean":
                return True
            case _:
                return self._quoted.pop(0) if self._quoted else self._question


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference, and take the first choice that is a value."""
    if (reference := schema.get("$ref")) is not None:
        place: Any = root
        for key in reference.removeprefix("#/").split("/"):
            place = place[key]
        return _resolved(place, root)
    for combined in ("anyOf", "oneOf", "allOf"):
        if choices := [choice for choice in schema.get(combined) or () if choice.get("type") != "null"]:
            return _resolved(choices[0], root)
    if isinstance(kinds := schema.get("type"), list):
        return {**schema, "type": next(kind for kind in kinds if kind != "null")}
    return schema
