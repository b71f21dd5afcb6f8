"""Tool calls in LlamaIndex's messages: blocks, or what integrations keep in `additional_kwargs` instead."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

LEGACY_KEYS = frozenset({"tool_calls", "function_call"})


class ToolCall(NamedTuple):
    """A tool call, in neither encoding."""

    id: str
    """Empty: it came without one."""
    name: str
    arguments: Mapping[str, Any] | str
    """Text where it is no JSON object."""

    @property
    def valid(self) -> bool:
        """Whether the arguments can be read."""
        return not isinstance(self.arguments, str)

    @property
    def json(self) -> str:
        """The arguments as JSON text, the same however they were encoded."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, sort_keys=True, default=str)


def calls_of(message: ChatMessage) -> list[ToolCall]:
    """Return the tool calls of a message. Streams of OpenAI's leave both encodings: then they are the same calls."""
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return [ToolCall(b.tool_call_id or "", b.tool_name, arguments_of(b.tool_kwargs)) for b in blocks]
    more = message.additional_kwargs
    if not more:
        return []
    calls = [_legacy(call) for call in more.get("tool_calls") or ()]
    if not calls and (function := more.get("function_call")) is not None:
        calls = [_legacy({"function": function})]
    return calls


def as_blocks(calls: Sequence[ToolCall]) -> list[ToolCallBlock]:
    """Return calls as blocks. Their arguments are objects: Anthropic takes no text."""
    return [
        ToolCallBlock(
            tool_call_id=call.id,
            tool_name=call.name,
            tool_kwargs=call.arguments if isinstance(call.arguments, str) else dict(call.arguments),
        )
        for call in calls
    ]


def as_legacy(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Return calls as OpenAI's chat completions have them on the wire."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.json}} for call in calls
    ]


def _legacy(call: Any) -> ToolCall:
    """Read a call of OpenAI's, as an object or a mapping, or of Anthropic's older form."""
    function = _get(call, "function")
    if function is None:
        return ToolCall(_get(call, "id") or "", _get(call, "name") or "", arguments_of(_get(call, "input") or {}))
    return ToolCall(
        _get(call, "id") or "", _get(function, "name") or "", arguments_of(_get(function, "arguments") or {})
    )


def _get(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)


def arguments_of(arguments: Any) -> Mapping[str, Any] | str:
    """Return a call's arguments as an object, or their text where they are none (yet)."""
    if isinstance(arguments, Mapping):
        return arguments
    text = str(arguments)
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return text
    return read if isinstance(read, dict) else text
