"""JSON values with all that makes no difference taken out, by the JSON Schema that they were written for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_KINDS: Mapping[type, tuple[str, ...]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    dict: ("object",),
    list: ("array",),
    type(None): ("null",),
}
_NOWHERE: frozenset[int] = frozenset()


def normal(value: Any, schema: object) -> Any:
    """Return a value in its normal form.

    - The order of keys is free; a key that states its default, or null where it may be left out, is left out.
    - Where the schema says `number` or `integer`, 5 and 5.0 are one; text is never a number.
    - Space at the ends of strings is taken away; their case is theirs.
    - Arrays keep their order, unless they are sets (`uniqueItems`).

    Raises:
        RecursionError: it is nested too deeply.
        ValueError, OverflowError: it holds a number that is none.
    """
    root = schema if isinstance(schema, Mapping) else {}
    return _Normal(root).of(value, [root])


class _Normal:
    """Normal forms under one schema, in which references are looked up."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def of(self, value: Any, schemas: Sequence[object]) -> Any:
        """Return the normal form of a value for which all of the schemas hold."""
        holding = [flat for schema in schemas for flat in self._flat(value, schema)]
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError("no finite number")
            return int(value) if value.is_integer() and any(map(_says_number, holding)) else value
        if isinstance(value, dict):
            return self._object(value, holding)
        if isinstance(value, list):
            return self._array(value, holding)
        return value

    def _object(self, value: dict[str, Any], holding: Sequence[Schema]) -> dict[str, Any]:
        required = {name for schema in holding for name in _list(schema.get("required"))}
        found: dict[str, Any] = {}
        for name, part in value.items():
            schemas = list(_schemas_of_property(name, holding))
            given = self.of(part, schemas)
            defaults = [default for schema in schemas for default in self._defaults(schema)]
            if defaults:
                if any(_text(given) == _text(self.of(default, schemas)) for default in defaults):
                    continue
            elif part is None and schemas and name not in required:
                continue
            found[name] = given
        return found

    def _array(self, value: list[Any], holding: Sequence[Schema]) -> list[Any]:
        items = [self.of(part, list(_schemas_of_item(place, holding))) for place, part in enumerate(value)]
        return sorted(items, key=_text) if any(schema.get("uniqueItems") is True for schema in holding) else items

    def _flat(self, value: Any, schema: object, within: frozenset[int] = _NOWHERE) -> Iterator[Schema]:
        """Find the schemas that hold for a value: behind references, all of `allOf`, the one that fits of `anyOf`."""
        for flat in self._sure(schema, within):
            yield flat
            inside = within | {id(flat)}
            for name in ("anyOf", "oneOf"):
                fitting = [part for part in _list(flat.get(name)) if self._fits(value, part, inside)]
                if len(fitting) == 1:
                    yield from self._flat(value, fitting[0], inside)
                elif any(_says_number(found) for part in fitting for found in self._flat(value, part, inside)):
                    yield {"type": "number"}  # which of them it is makes no difference to a number

    def _sure(self, schema: object, within: frozenset[int] = _NOWHERE) -> Iterator[Schema]:
        """Find the schemas that hold whatever the value is. One that leads back to itself says nothing new."""
        if not isinstance(schema, Mapping) or id(schema) in within:
            return
        yield schema
        within |= {id(schema)}
        if isinstance(reference := schema.get("$ref"), str):
            yield from self._sure(self._referred(reference), within)
        for part in _list(schema.get("allOf")):
            yield from self._sure(part, within)

    def _defaults(self, schema: object) -> Iterator[Any]:
        return (found["default"] for found in self._sure(schema) if "default" in found)

    def _fits(self, value: Any, schema: object, within: frozenset[int]) -> bool:
        """Tell roughly whether a value may be meant for a schema."""
        return all(_may_hold(value, flat, self) for flat in self._flat(value, schema, within))

    def fits_constant(self, value: Any, schema: object) -> bool:
        """Tell whether a value is what a schema says that it always is."""
        return all("const" not in flat or flat["const"] == value for flat in self._flat(value, schema))

    def _referred(self, reference: str) -> object:
        """Look up a reference within the schema; what lies elsewhere is not known."""
        if not reference.startswith("#"):
            return None
        found: object = self._root
        for part in reference[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        return found


def _may_hold(value: Any, schema: Schema, normal_: _Normal) -> bool:
    types, listed = _types(schema), schema.get("enum")
    whole = isinstance(value, float) and value.is_integer() and "integer" in types
    if types and not whole and not any(kind in types for kind in _KINDS[type(value)]):
        return False
    if schema.get("const", value) != value or (listed is not None and value not in _list(listed)):
        return False
    return not isinstance(value, dict) or _may_be_object(value, schema, normal_)


def _may_be_object(value: dict[str, Any], schema: Schema, normal_: _Normal) -> bool:
    if any(name not in value for name in _list(schema.get("required"))):
        return False
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return True
    if schema.get("additionalProperties") is False and any(name not in properties for name in value):
        return False
    return all(normal_.fits_constant(value[name], part) for name, part in properties.items() if name in value)


def _schemas_of_property(name: str, holding: Sequence[Schema]) -> Iterator[object]:
    for schema in holding:
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and name in properties:
            yield properties[name]
        elif isinstance(schema.get("additionalProperties"), Mapping):
            yield schema["additionalProperties"]


def _schemas_of_item(place: int, holding: Sequence[Schema]) -> Iterator[object]:
    for schema in holding:
        prefix = _list(schema.get("prefixItems"))
        yield prefix[place] if place < len(prefix) else schema.get("items")


def _says_number(schema: Schema) -> bool:
    return any(kind in ("number", "integer") for kind in _types(schema))


def _types(schema: Schema) -> Sequence[Any]:
    said = schema.get("type")
    return [said] if isinstance(said, str) else _list(said)


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=dict)
