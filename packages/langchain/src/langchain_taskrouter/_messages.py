"""LangChain messages in the chat-completions shape, for profiling only: the models get the messages themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage

from taskrouter.step import ROLES, Message

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "function"}
_IMAGES = frozenset({"image", "image_url", "input_image"})
"""How LangChain, OpenAI and OpenAI's Responses API name an image part; core looks for the same names."""


def chat_messages(messages: Sequence[BaseMessage]) -> list[Message]:
    """Return the messages in the chat-completions shape. Pure: nothing is changed, long texts are not copied."""
    return [_chat_message(message) for message in messages if message.type != "remove"]


def _chat_message(message: BaseMessage) -> Message:
    shown: dict[str, Any] = {"role": _role(message), "content": _content(message.content)}
    if message.name:
        shown["name"] = message.name
    if isinstance(message, ToolMessage):
        shown["tool_call_id"] = message.tool_call_id
    elif isinstance(message, AIMessage) and message.tool_calls:
        shown["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    return shown


def _role(message: BaseMessage) -> str:
    said = message.additional_kwargs.get("__openai_role__") or vars(message).get("role")
    if said is None and message.model_extra:  # asking pydantic for an attribute that is not there takes longest of all
        said = message.model_extra.get("role")
    if said in ROLES:
        return str(said)
    return _ROLES.get(message.type.removesuffix("MessageChunk").lower(), "user")


def _content(content: str | Iterable[str | Mapping[str, Any]]) -> Any:
    if isinstance(content, str):
        return content
    return [part for part in content if isinstance(part, str) or part.get("type") in _IMAGES or part.get("text")]


def _tool_call(call: ToolCall) -> Mapping[str, Any]:
    arguments = json.dumps(call["args"], default=str)
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}
