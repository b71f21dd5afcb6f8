"""The framework's messages and tools in the chat-completions shape, for profiling and for the router's own backends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agent_framework import Content, FunctionTool, Message
from pydantic import BaseModel

from autogen_taskrouter.agent_framework._view import arguments_text
from taskrouter.step import ROLES
from taskrouter.step import Message as ChatMessage

_WRAPPED = ("json_schema", "format")
"""Keys under which a response format in a vendor's form has its schema."""


def chat_messages(messages: Iterable[Message], instructions: Any = None) -> list[ChatMessage]:
    """Return the conversation in the chat-completions shape. Pure: nothing is changed.

    Args:
        messages: the conversation.
        instructions: what the call's options say beside it.
    """
    first = [instructions] if isinstance(instructions, str) else list(instructions or ())
    shown: list[ChatMessage] = [{"role": "system", "content": text} for text in first if text.strip()]
    shown += (each for message in messages for each in _chat_messages(message))
    return shown


def response_schema(response_format: Any) -> Mapping[str, Any] | None:
    """Return the JSON Schema that an answer must satisfy, given as a pydantic class, as a schema, or wrapped up."""
    if isinstance(response_format, type) and issubclass(response_format, BaseModel):
        return response_format.model_json_schema()
    if not isinstance(response_format, Mapping):
        return None
    wrapped = (inner for name in _WRAPPED if isinstance(inner := response_format.get(name), Mapping))
    inside = next(wrapped, response_format)
    if isinstance(schema := inside.get("schema"), Mapping):
        return schema
    is_schema = inside is response_format and inside.get("type") not in ("json_object", "json_schema", "text")
    return inside if is_schema else None


def function_tools(tools: Iterable[Any]) -> list[Mapping[str, Any]]:
    """Return the tools that the application runs, in the chat-completions shape."""
    shown: list[Mapping[str, Any]] = []
    for tool in tools:
        if isinstance(tool, FunctionTool):
            shown.append(tool.to_json_schema_spec())
        elif isinstance(tool, Mapping) and tool.get("type") == "function":
            flat = {name: value for name, value in tool.items() if name != "type"}  # as the Responses API has it
            shown.append(tool if isinstance(tool.get("function"), Mapping) else {"type": "function", "function": flat})
    return shown


def result_text(content: Content) -> str:
    """Return what a tool has returned, as text."""
    texts = [item.text or "" for item in content.items or () if item.type == "text"]
    if texts:
        return "\n".join(texts)
    result = content.result
    return result if isinstance(result, str) else "" if result is None else json.dumps(result, default=str)


def _chat_messages(message: Message) -> Iterator[ChatMessage]:
    results = [content for content in message.contents if content.type == "function_result"]
    for result in results:
        yield {"role": "tool", "tool_call_id": result.call_id or "", "content": result_text(result)}
    others = [content for content in message.contents if content.type != "function_result"]
    if results and not others:
        return
    role = message.role if message.role in ROLES and message.role != "tool" else "user"
    shown: dict[str, Any] = {"role": role, "content": _content(others)}
    if calls := [_tool_call(content) for content in others if content.type == "function_call"]:
        shown["tool_calls"] = calls
    yield shown


def _content(contents: Sequence[Content]) -> Any:
    parts = [part for content in contents if (part := _part(content)) is not None]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(content: Content) -> Mapping[str, Any] | None:
    if content.type == "text":
        return {"type": "text", "text": content.text or ""}
    if content.type not in ("data", "uri"):
        return None
    if content.has_top_level_media_type("image"):
        return {"type": "image_url", "image_url": {"url": content.uri}}
    return {"type": "file", "file": {"file_data": content.uri}}


def _tool_call(content: Content) -> Mapping[str, Any]:
    function = {"name": content.name or "", "arguments": arguments_text(content)}
    return {"id": content.call_id or "", "type": "function", "function": function}
