"""Fill a JSON Schema with values that a text contains. The result fits the schema wherever a fit can be found."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

from taskrouter.simulator.evidence import Evidence
from taskrouter.simulator.schemas import validator

Node: TypeAlias = Mapping[str, Any]
"""A schema or subschema."""

MAX_DEPTH = 12
"""Deeper than this, only what a schema requires is filled: schemas may refer to themselves."""
_FORMATS = {
    "date": "2025-01-15",
    "date-time": "2025-01-15T09:00:00Z",
    "time": "09:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_SHAPES = (
    *("A", "a", "0", "1", "AB", "ab", "ABC", "abc", "A1", "a1", "00", "000", "0000", "00000", "000000"),
    *("A-1", "AB-12", "ABC-123", "ABC-1234", "abc_1", "2025-01-15", "09:00", "1.0", "1.0.0", "+15550100", "#000000"),
)
"""Tried against a `pattern` when nothing in the text fits it."""


def fill(schema: Node, text: str, *, name: str = "") -> Any:
    """Return a value for the schema, taken from the text where names, types or shapes match."""
    return _Filler(schema, text).best(schema, name, 0)


def spoil(value: Any, schema: Node) -> Any:
    """Change the first leaf that can be changed without breaking the schema: a wrong answer of the right form."""
    fits = validator(schema).is_valid
    options = [item for node in _enums(schema) for item in node]
    for path, leaf in _leaves(value):
        for other in _others(leaf, options):
            changed = _replaced(value, path, other)
            if fits(changed):
                return changed
    return value


class _Filler:
    def __init__(self, root: Node, text: str) -> None:
        self._root = root
        self._validator = validator(root)
        self._evidence = Evidence(text)

    def best(self, node: Any, name: str, depth: int) -> Any:
        """Return the first candidate that fits, else the first candidate."""
        for value in self.fitting(node, name, depth):
            return value
        return next(self._candidates(node, name, depth), None)

    def fitting(self, node: Any, name: str, depth: int) -> Iterator[Any]:
        """Yield the candidates that fit the node."""
        check = self._validator.evolve(schema=node)
        return (value for value in self._candidates(node, name, depth) if check.is_valid(value))

    def _candidates(self, node: Any, name: str, depth: int) -> Iterator[Any]:
        node = self._plain(node)
        if "const" in node:
            yield node["const"]
        elif "enum" in node:
            found = self._evidence.mentioned(node["enum"])
            yield from found
            if "default" in node:
                yield node["default"]
            yield from node["enum"]
        elif branches := node.get("anyOf") or node.get("oneOf"):
            yield from self._of_branches(node, branches, name, depth)
        else:
            yield from self._of_types(node, name, depth)

    def _plain(self, node: Any, hops: int = 0) -> Node:
        """Follow references and merge `allOf`."""
        if not isinstance(node, Mapping):
            return {}
        merged = dict(node)
        parts = list(merged.pop("allOf", ()))
        if "$ref" in merged:
            parts.append(self._target(merged.pop("$ref")))
        for part in parts if hops < MAX_DEPTH else ():
            for key, value in self._plain(part, hops + 1).items():
                if key == "properties":
                    merged[key] = {**value, **merged.get(key, {})}
                elif key == "required":
                    merged[key] = [*merged.get(key, ()), *value]
                else:
                    merged.setdefault(key, value)
        return merged

    def _target(self, reference: str) -> Any:
        node: Any = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~").replace("%25", "%")
            node = node[int(key)] if isinstance(node, list) else node.get(key, {})
        return node

    def _of_branches(self, node: Node, branches: Sequence[Any], name: str, depth: int) -> Iterator[Any]:
        base = {key: value for key, value in node.items() if key not in {"anyOf", "oneOf"}}
        silent = not self._speaks_of(node, name, depth)
        ordered = sorted(branches, key=lambda branch: _is_null(branch) != (silent or depth > MAX_DEPTH))
        for branch in ordered:
            yield from self._candidates({**base, **self._plain(branch)}, name, depth + 1)

    def _of_types(self, node: Node, name: str, depth: int) -> Iterator[Any]:
        kinds = node.get("type", _guess_type(node))
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        if "null" in kinds and not self._speaks_of({**node, "type": kinds[0]}, name, depth):
            yield None
        makers = {
            "object": self._objects,
            "array": self._arrays,
            "string": self._strings,
            "number": self._numbers,
            "integer": self._integers,
            "boolean": self._booleans,
        }
        for kind in kinds:
            if kind == "null":
                yield None
            else:
                yield from makers[kind](node, name, depth)

    def _objects(self, node: Node, _name: str, depth: int) -> Iterator[dict[str, Any]]:
        properties: Mapping[str, Any] = node.get("properties", {})
        others = node.get("additionalProperties", {})
        required = dict.fromkeys(node.get("required", ()))
        spoken = [] if depth > MAX_DEPTH else [k for k, child in properties.items() if self._speaks_of(child, k, depth)]
        wanted = [key for key in (*properties, *required) if key in required or key in spoken]
        for keys in (dict.fromkeys(wanted), required, dict.fromkeys((*properties, *required))):
            yield {key: self.best(properties.get(key, others), key, depth + 1) for key in keys}
            if depth > MAX_DEPTH:
                return

    def _arrays(self, node: Node, name: str, depth: int) -> Iterator[list[Any]]:
        least, most = node.get("minItems", 0), node.get("maxItems", 10)
        items = self._plain(node.get("items", {}))
        start = [self.best(child, name, depth + 1) for child in node.get("prefixItems", ())]
        values = start + self._items(items, name, depth, most - len(start)) if depth <= MAX_DEPTH else start
        if node.get("uniqueItems"):
            values = [value for index, value in enumerate(values) if value not in values[:index]]
            pool = self.fitting(items, name, depth + 1)
            values += [value for value in islice(pool, 50) if value not in values][: max(0, least - len(values))]
        while len(values) < least:
            values.append(self.best(items, name, depth + 1))
        yield values[:most]
        yield values[:least]

    def _items(self, items: Node, name: str, depth: int, most: int) -> list[Any]:
        check = self._validator.evolve(schema=items).is_valid
        if "enum" in items:
            found: Sequence[Any] = self._evidence.mentioned(items["enum"])
        elif items.get("type") in {"number", "integer"}:
            found = [_whole(value) for value in self._evidence.numbers(name)]
        elif items.get("type", "string") == "string":
            found = self._evidence.listed(name) or list(self._evidence.shaped(_singular(name)))
        else:
            found = [self.best(items, _singular(name), depth + 1)]
        return [value for value in found if check(value)][: max(0, most)]

    def _strings(self, node: Node, name: str, _depth: int) -> Iterator[str]:
        wanted = str(node.get("format", ""))
        if pattern := node.get("pattern"):
            yield from self._patterned(pattern, wanted or name)
        if wanted in _FORMATS:
            yield from self._evidence.shaped(wanted.replace("-time", ""))
            yield _FORMATS[wanted]
        if "default" in node and not self._evidence.labelled(name):
            yield node["default"]
        least, most = node.get("minLength", 0), node.get("maxLength", 2_000)
        for text in (*self._evidence.strings(name), name or "value"):
            yield text[:most] if len(text) >= least else text.ljust(least, "x")

    def _patterned(self, pattern: str, name: str) -> Iterator[str]:
        text = self._evidence.text
        tokens = (token.strip(".,;:!?()\"'") for token in text.split())
        loose = re.search(pattern.removeprefix("^").removesuffix("$"), text)
        yield from (token for token in (*self._evidence.shaped(name), *tokens) if re.search(pattern, token))
        yield from [loose.group(0)] if loose else []
        yield from _SHAPES

    def _numbers(self, node: Node, name: str, depth: int) -> Iterator[float]:
        yield from map(_whole, self._evidence.numbers(name) if self._speaks_of(node, name, depth) else [])
        if "default" in node:
            yield node["default"]
        yield from map(_whole, self._evidence.numbers(name))
        yield from (value for value in _inside(node) if math.isfinite(value))

    def _integers(self, node: Node, name: str, depth: int) -> Iterator[int]:
        for value in self._numbers(node, name, depth):
            yield from dict.fromkeys((math.floor(value), math.ceil(value)))

    def _booleans(self, node: Node, name: str, _depth: int) -> Iterator[bool]:
        said = self._evidence.flag(name)
        yield said if said is not None else bool(node.get("default", False))
        yield from (True, False)

    def _speaks_of(self, node: Any, name: str, depth: int) -> bool:
        """Tell whether the text has something to say about the named value."""
        node = self._plain(node)
        if "enum" in node:
            return bool(self._evidence.mentioned(node["enum"]))
        if "properties" in node:
            return depth < 3 and any(self._speaks_of(v, k, depth + 1) for k, v in node["properties"].items())
        if "items" in node:
            return bool(self._evidence.listed(name)) or self._speaks_of(node["items"], _singular(name), depth + 1)
        branches = [part for part in node.get("anyOf") or node.get("oneOf") or () if not _is_null(part)]
        if branches and depth < MAX_DEPTH:
            return any(self._speaks_of(part, name, depth + 1) for part in branches)
        kinds = node.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds or [None]
        return any(self._leaf_speaks(kind, name) for kind in kinds if kind != "null")

    def _leaf_speaks(self, kind: str | None, name: str) -> bool:
        if kind == "boolean":
            return self._evidence.flag(name) is not None
        if self._evidence.labelled(name) or (kind not in {"number", "integer"} and any(self._evidence.shaped(name))):
            return True
        return kind in {"number", "integer"} and self._evidence.names(name) and bool(self._evidence.numbers(name))


def _inside(node: Node) -> Iterator[float]:
    """Yield numbers that may lie between the bounds of a schema."""
    low = max(node.get("minimum", -math.inf), node.get("exclusiveMinimum", -math.inf))
    high = min(node.get("maximum", math.inf), node.get("exclusiveMaximum", math.inf))
    step = node.get("multipleOf", 1)
    yield from (1, 0)
    for bound in (low, high):
        if math.isfinite(bound):
            multiple = math.ceil(bound / step) * step
            yield from (bound, multiple, multiple + step, multiple - step, bound + 0.5, bound - 0.5)
    if math.isfinite(low) and math.isfinite(high):
        yield (low + high) / 2


def _guess_type(node: Node) -> str:
    if "properties" in node or "required" in node:
        return "object"
    if "items" in node or "prefixItems" in node:
        return "array"
    return "number" if {"minimum", "maximum", "multipleOf"} & set(node) else "string"


def _is_null(node: Any) -> bool:
    return isinstance(node, Mapping) and node.get("type") == "null"


def _whole(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, Mapping | list):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, child in pairs:
            yield from _leaves(child, (*path, key))
    else:
        yield path, value


def _others(leaf: Any, options: Sequence[Any]) -> Iterator[Any]:
    if isinstance(leaf, bool):
        yield not leaf
    elif isinstance(leaf, int | float):
        yield from (leaf + 1, leaf - 1, leaf * 2 + 1)
    else:
        yield from (option for option in options if option != leaf)
        yield from (text for text in ("unknown", "not stated", str(leaf)[::-1]) if text != leaf)


def _replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    head, *rest = path
    copy = dict(value) if isinstance(value, Mapping) else list(value)
    copy[head] = _replaced(copy[head], tuple(rest), other)
    return copy


def _enums(schema: Any) -> Iterator[Sequence[Any]]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("enum"), list):
            yield schema["enum"]
        for child in schema.values():
            yield from _enums(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from _enums(child)
