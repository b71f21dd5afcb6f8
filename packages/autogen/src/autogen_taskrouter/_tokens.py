"""How long a conversation is, estimated: candidates count differently, and none is chosen yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from autogen_core.models import LLMMessage
from autogen_core.tools import Tool, ToolSchema

from autogen_taskrouter._messages import chat_messages, shown_tool

_CHARS_PER_TOKEN = 4
_PER_MESSAGE = 3
_PER_PICTURE = 765
"""OpenAI's count of a picture of 1024 by 1024 pixels; other vendors' are of the same order."""
UNLIMITED = 2**31 - 1
"""What is left where no candidate's window is known: nothing is cut off a conversation for a limit nobody knows of."""


def estimated_tokens(messages: Sequence[LLMMessage], tools: Sequence[Tool | ToolSchema] = ()) -> int:
    """Return about how many tokens messages and tools have. Never raises."""
    chars = pictures = 0
    for message in chat_messages(messages):
        content = message["content"]
        for part in content if isinstance(content, list) else (content or "",):
            if isinstance(part, str):
                chars += len(part)
            elif part["type"] == "text":
                chars += len(part["text"])
            else:
                pictures += 1
        for call in message.get("tool_calls", ()):
            chars += len(call["function"]["name"]) + len(call["function"]["arguments"])
    chars += sum(len(json.dumps(shown_tool(tool), default=str)) for tool in tools)
    return -(-chars // _CHARS_PER_TOKEN) + _PER_MESSAGE * len(messages) + _PER_PICTURE * pictures


def largest_window(windows: Iterable[int | None]) -> int | None:
    """Return the largest window that is known: a step that fits only there goes there."""
    return max((window for window in windows if window is not None), default=None)
