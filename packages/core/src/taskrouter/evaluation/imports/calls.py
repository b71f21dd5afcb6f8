"""Reads tool calls the way the Berkeley Function-Calling Leaderboard records them, and brings its schemas into shape.

Models that call tools natively are recorded as `[{"name": "{json}"}]`; others answer in text, as Python calls:
`[name(key='value'), ...]`.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from taskrouter.grading.schema import violation

MAX_CALL_CHARS = 50_000
_LOOKS_LIKE_CALL = re.compile(r"[\[(]|[\w.]+\s*\(")
_LOOSE = re.compile(r"[\s,./\-_*^]+")
"""What the leaderboard ignores when it compares text."""

_TYPES = {
    "dict": "object", "map": "object", "hashmap": "object", "hashtable": "object", "object": "object",
    "float": "number", "double": "number", "number": "number", "bigint": "integer",
    "int": "integer", "integer": "integer", "long": "integer", "short": "integer", "byte": "integer",
    "str": "string", "string": "string", "char": "string",
    "bool": "boolean", "boolean": "boolean", "null": "null", "none": "null",
    "tuple": "array", "list": "array", "array": "array", "arraylist": "array", "queue": "array", "stack": "array",
    "set": "array",
}  # fmt: skip
"""Types that the leaderboard writes (Python's, Java's, JavaScript's) -> JSON Schema's; `any` and others: no type."""
_NESTED = ("properties", "patternProperties", "$defs", "definitions")


class Call(NamedTuple):
    """One proposed call."""

    name: str
    arguments: dict[str, Any] | None
    """None where they cannot be read."""


def read_calls(result: Any) -> list[Call] | None:
    """Return the calls that a recorded result proposes; none for plain text; None for a call that cannot be read."""
    if isinstance(result, str):
        return _from_text(result)
    if not isinstance(result, Sequence):
        return None
    if all(isinstance(item, str) for item in result):
        return _from_text("[" + ", ".join(result) + "]") if result else []
    return _from_objects(result)


def canonical_calls(calls: Sequence[Call]) -> str:
    """Return calls in a spelling that is equal where the leaderboard takes them for equal, whatever their order."""
    shown = [[tool_name(name), _loose(arguments)] for name, arguments in calls]
    return json.dumps(sorted(shown, key=json.dumps), sort_keys=True) if shown else "no call"


def calls_are_valid(calls: Sequence[Call], tools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all calls name a tool that was offered and satisfy its schema."""
    offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    for name, arguments in calls:
        schema = offered.get(tool_name(name))
        if schema is None or arguments is None or violation(json.loads(json.dumps(arguments)), schema):
            return False
    return True


def tool(function: Any) -> dict[str, Any]:
    """Return a function of the leaderboard as a tool in the chat-completions shape.

    Raises:
        ValueError: it has no name, or no schema that can be mended.
    """
    name = function.get("name") if isinstance(function, Mapping) else None
    parameters = function.get("parameters") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not name or not isinstance(parameters, Mapping):
        raise ValueError("a function without name or parameters")
    schema = json_schema(parameters)
    schema["type"] = "object"
    violation({}, schema)
    return {
        "type": "function",
        "function": {
            "name": tool_name(name),
            "description": str(function.get("description") or ""),
            "parameters": schema,
        },
    }


def tool_name(name: str) -> str:
    """Return a name as providers take it: they refuse dots, so `math.gcd` is `math_gcd`."""
    return re.sub(r"[^\w-]", "_", name)[:64]


def json_schema(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of the leaderboard with the types of JSON Schema."""
    schema: dict[str, Any] = {}
    for key, value in written.items():
        if key == "type":
            schema.update(_type(value))
        elif key in _NESTED and isinstance(value, Mapping):
            schema[key] = {name: json_schema(inner) for name, inner in value.items() if isinstance(inner, Mapping)}
        elif key in ("items", "additionalProperties", "not") and isinstance(value, Mapping):
            schema[key] = json_schema(value)
        elif key == "items" and isinstance(value, list):
            schema["prefixItems"] = [json_schema(inner) for inner in value if isinstance(inner, Mapping)]
        elif key in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
            schema[key] = [json_schema(inner) for inner in value if isinstance(inner, Mapping)]
        elif key == "required":
            if isinstance(value, list):  # some mark the property itself as required
                schema[key] = list(dict.fromkeys(map(str, value)))
        elif key != "enum" or (isinstance(value, list) and value):
            schema[key] = value
    return schema


def _type(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        known = list(dict.fromkeys(t for t in (_TYPES.get(str(v).lower()) for v in value) if t))
        return {"type": known} if known else {}
    known_type = _TYPES.get(str(value).lower())
    return {"type": known_type} if known_type else {}


def _from_objects(items: Sequence[Any]) -> list[Call] | None:
    calls: list[Call] = []
    for item in items:
        if not isinstance(item, Mapping):
            return None
        named = item.get("name")
        if isinstance(named, str) and ("arguments" in item or "parameters" in item):
            calls.append(Call(named, _arguments(item.get("arguments", item.get("parameters")))))
        else:
            calls.extend(Call(str(name), _arguments(arguments)) for name, arguments in item.items())
    return calls


def _arguments(given: Any) -> dict[str, Any] | None:
    try:
        read = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def _from_text(text: str) -> list[Call] | None:
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.removesuffix("```").lstrip("`").strip()
        bare = bare.removeprefix("python").removeprefix("json").strip()
    if not _LOOKS_LIKE_CALL.match(bare):
        return []
    if len(bare) > MAX_CALL_CHARS:
        return None
    try:
        read = json.loads(bare)
    except (ValueError, RecursionError):
        return _from_python(bare)
    return _from_objects(read) if isinstance(read, list) else None


def _from_python(text: str) -> list[Call] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes in the model's text
            body = ast.parse(text, mode="eval").body
        nodes = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
        if not all(isinstance(node, ast.Call) for node in nodes):
            return None
        return [_call(node) for node in nodes if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _call(node: ast.Call) -> Call:
    arguments = {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg is not None}
    readable = not node.args and len(arguments) == len(node.keywords)
    return Call(ast.unparse(node.func), arguments if readable else None)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[node.id]
    try:
        value = ast.literal_eval(node)
        return json.loads(json.dumps(value))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return ast.unparse(node)


def _loose(value: Any) -> Any:
    """Write a value so that what the leaderboard takes for equal is equal: case, blanks, 5 and 5.0."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e300 else str(value)
    if isinstance(value, str):
        return _LOOSE.sub("", value).casefold()
    if isinstance(value, Mapping):
        return {str(key): _loose(inner) for key, inner in sorted(value.items(), key=lambda item: str(item[0]))}
    return [_loose(inner) for inner in value] if isinstance(value, list | tuple) else str(value)
