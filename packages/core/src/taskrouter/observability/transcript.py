"""A request and its answer as the GenAI conventions write them down: messages of typed parts, cut to size.

Of pictures, sound and files only the kind and the size are told, never the bytes or the address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from taskrouter.observability import names as n
from taskrouter.observability.redaction import Redaction
from taskrouter.outcome import ResponseView, ToolCall
from taskrouter.step import SYSTEM_ROLES, Message, Step, Tool

PARTS: Final = 10
"""An attribute may be as long as so many parts of full length."""
LONGEST_NAME: Final = 200
_OVERHEAD = 60
"""About what the form of a part takes, characters."""
_MEDIA: Mapping[str, str] = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "video": "video",
    "file": "file",
    "input_file": "file",
    "document": "file",
}
_FINISHES = {"tool_calls": "tool_call", "tool_use": "tool_call", "end_turn": "stop", "max_tokens": "length"}
"""The convention's names for reasons that providers name otherwise."""


class Room:
    """What is left of an attribute's length; texts are redacted first, and then cut.

    Args:
        redaction: takes out what may not be shown.
        part_chars: the longest that one part may be.
    """

    def __init__(self, redaction: Redaction, part_chars: int) -> None:
        self.redaction = redaction
        self._part_chars = part_chars
        self._left = PARTS * part_chars

    @property
    def full(self) -> bool:
        """Whether nothing more has room."""
        return self._left <= 0

    def text(self, text: str) -> str:
        """Return a text as long as it may be, and say how much is missing."""
        shown = self.redaction.text(text)
        limit = min(self._part_chars, max(self._left, 0))
        self._left -= min(len(shown), limit) + _OVERHEAD
        return shown if len(shown) <= limit else f"{shown[:limit]}… [truncated: {len(shown) - limit} more characters]"

    def value(self, value: Any) -> Any:
        """Return a JSON-like value; as the beginning of its text where it is too long."""
        shown = self.redaction.value(value)
        written = json.dumps(shown, ensure_ascii=False)
        limit = min(self._part_chars, max(self._left, 0))
        self._left -= min(len(written), limit) + _OVERHEAD
        if len(written) <= limit:
            return shown
        return f"{written[:limit]}… [truncated: {len(written) - limit} more characters]"

    def name(self, name: object) -> str:
        """Return a name or an id."""
        shown = self.redaction.text(str(name))[:LONGEST_NAME]
        self._left -= len(shown)
        return shown


def request(step: Step, new_room: Callable[[], Room]) -> dict[str, Any]:
    """Return what a model is asked, by the names of the attributes.

    Args:
        step: the step.
        new_room: makes the room of one attribute.
    """
    messages = step.messages
    instructions = 0
    while instructions < len(messages) and messages[instructions]["role"] in SYSTEM_ROLES:
        instructions += 1
    said: dict[str, Any] = {}
    if instructions:
        said[n.SYSTEM_INSTRUCTIONS] = _instructions(messages[:instructions], new_room())
    said[n.INPUT_MESSAGES] = _conversation(messages[instructions:], new_room())
    if step.tools:
        said[n.TOOL_DEFINITIONS] = _tools(step.tools, new_room())
    return said


def answer(view: ResponseView, room: Room) -> dict[str, Any]:
    """Return what a model has answered, by the name of the attribute."""
    parts: list[dict[str, Any]] = []
    if view.reasoning:
        parts.append({"type": "reasoning", "content": room.text(view.reasoning)})
    if view.text:
        parts.append({"type": "text", "content": room.text(view.text)})
    for call in view.tool_calls:
        if room.full:
            parts.append(_omitted("parts", len(view.tool_calls) - view.tool_calls.index(call)))
            break
        parts.append(_proposed(call, room))
    finish = view.finish_reason or "unknown"
    return {n.OUTPUT_MESSAGES: [{"role": "assistant", "parts": parts, "finish_reason": _FINISHES.get(finish, finish)}]}


def _instructions(messages: Sequence[Message], room: Room) -> list[dict[str, Any]]:
    return [part for message in messages for part in _parts(message.get("content"), room)]


def _conversation(messages: Sequence[Message], room: Room) -> list[dict[str, Any]]:
    """Return the newest messages that have room, in their order: what came last is what is answered."""
    told: list[dict[str, Any]] = []
    for message in reversed(messages):
        if room.full:
            break
        told.append(_message(message, room))
    told.reverse()
    if missing := len(messages) - len(told):
        told.insert(0, {"role": "taskrouter", "parts": [_omitted("messages", missing)]})
    return told


def _message(message: Message, room: Room) -> dict[str, Any]:
    role = message["role"]
    if role in ("tool", "function"):
        parts = [_result(message, room)]
    else:
        parts = _parts(message.get("content"), room)
        calls = message.get("tool_calls") or ()
        for number, call in enumerate(calls):
            if room.full:
                parts.append(_omitted("parts", len(calls) - number))
                break
            parts.append(_called(call, room))
    told: dict[str, Any] = {"role": role, "parts": parts}
    if message.get("name"):
        told["name"] = room.name(message["name"])
    return told


def _parts(content: Any, room: Room) -> list[dict[str, Any]]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "content": room.text(content)}]
    parts: list[dict[str, Any]] = []
    for number, part in enumerate(content):
        if room.full:
            parts.append(_omitted("parts", len(content) - number))
            break
        parts.append(_part(part, room))
    return parts


def _part(part: Any, room: Room) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "content": room.text(part)}
    kind = str(part.get("type") or "unknown")
    if kind in _MEDIA:
        return _medium(_MEDIA[kind], part)
    if isinstance(text := part.get("text"), str):
        return {"type": "text", "content": room.text(text)}
    return {"type": room.name(kind)}


def _result(message: Message, room: Room) -> dict[str, Any]:
    content = message.get("content")
    told: dict[str, Any] = {"type": "tool_call_response"}
    if message.get("tool_call_id"):
        told["id"] = room.name(message["tool_call_id"])
    if content is None or isinstance(content, str):
        told["response"] = room.text(content or "")
    else:
        told["response"] = _parts(content, room)
    return told


def _called(call: Mapping[str, Any], room: Room) -> dict[str, Any]:
    function = call["function"]
    return _call(call.get("id"), function["name"], function.get("arguments"), room)


def _proposed(call: ToolCall, room: Room) -> dict[str, Any]:
    return _call(call.id, call.name, call.arguments, room)


def _call(id_: object, name: str, arguments: Any, room: Room) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "tool_call", "name": room.name(name), "arguments": room.value(_read(arguments))}
    if id_:
        told["id"] = room.name(id_)
    return told


def _tools(tools: Sequence[Tool], room: Room) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for number, tool in enumerate(tools):
        if room.full:
            told.append({"type": "truncated", "name": f"{len(tools) - number} more tools"})
            break
        function = tool["function"]
        shown: dict[str, Any] = {"type": "function", "name": room.name(function["name"])}
        if function.get("description"):
            shown["description"] = room.text(function["description"])
        if function.get("parameters") is not None:
            shown["parameters"] = room.value(function["parameters"])
        told.append(shown)
    return told


def _medium(kind: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Tell of what is no text: what kind it is and how large, where that can be seen."""
    told: dict[str, Any] = {"type": kind, "omitted": True}
    data = _data(part)
    if data is None:
        return told
    head, comma, body = data.partition(",") if data.startswith("data:") else ("", "", data)
    if head.startswith("data:") and comma:
        told["mime_type"] = head.removeprefix("data:").partition(";")[0][:LONGEST_NAME]
    elif "://" in data[:20]:
        return told
    told["size_bytes"] = len(body) * 3 // 4 - body[-2:].count("=")
    return told


def _data(part: Mapping[str, Any]) -> str | None:
    """Find the bytes as text, wherever frameworks put them."""
    for holder in (part, *(inner for inner in part.values() if isinstance(inner, Mapping))):
        for key in ("url", "data", "base64", "file_data", "image_url"):
            if isinstance(found := holder.get(key), str) and found:
                return found
    return None


def _omitted(what: str, count: int) -> dict[str, Any]:
    return {"type": "truncated", f"omitted_{what}": count}


def _read(arguments: Any) -> Any:
    """Read arguments as JSON, so that they are redacted as what they mean; what is none stays text."""
    if not isinstance(arguments, str) or not arguments.strip():
        return arguments
    try:
        return json.loads(arguments, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return arguments


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)
