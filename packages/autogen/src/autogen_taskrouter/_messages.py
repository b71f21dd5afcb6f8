"""AutoGen's messages and tools in the chat-completions shape, in which steps are profiled and LiteLLM is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from autogen_core import Image
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, SystemMessage, UserMessage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from taskrouter.step import Tool as ShownTool


def chat_messages(messages: Sequence[LLMMessage], *, pictures: bool = False) -> list[dict[str, Any]]:
    """Return a conversation in the chat-completions shape.

    Args:
        messages: the conversation.
        pictures: whether with the pictures themselves; profiling only counts them.
    """
    shown: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            shown += [{"role": "tool", "tool_call_id": r.call_id, "content": r.content} for r in message.content]
        else:
            shown.append(_shown(message, pictures=pictures))
    return shown


def schema_of(tool: Tool | ToolSchema) -> ToolSchema:
    """Return what a tool looks like to a model."""
    return tool if isinstance(tool, Mapping) else tool.schema


def shown_tool(tool: Tool | ToolSchema) -> ShownTool:
    """Return a tool in the chat-completions shape."""
    schema = schema_of(tool)
    known = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: schema[name] for name in known if name in schema}}  # type: ignore[literal-required] # the names of its fields


@lru_cache(maxsize=256)
def json_schema(answer: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a class of answers."""
    return answer.model_json_schema()


def is_answer_type(json_output: object) -> bool:
    """Whether `json_output` is a class, whose instances the answers are to be."""
    return isinstance(json_output, type) and issubclass(json_output, BaseModel)


def has_pictures(messages: Sequence[LLMMessage]) -> bool:
    """Whether somebody shows a picture."""
    return any(
        isinstance(message, UserMessage)
        and not isinstance(message.content, str)
        and any(isinstance(part, Image) for part in message.content)
        for message in messages
    )


def has_scattered_instructions(messages: Sequence[LLMMessage]) -> bool:
    """Whether system messages stand in several places: not every model takes that."""
    places = [place for place, message in enumerate(messages) if isinstance(message, SystemMessage)]
    return bool(places) and places[-1] - places[0] >= len(places)


def _shown(message: SystemMessage | UserMessage | AssistantMessage, *, pictures: bool) -> dict[str, Any]:
    if isinstance(message, SystemMessage):
        return {"role": "system", "content": message.content}
    if isinstance(message, UserMessage):
        if isinstance(message.content, str):
            return {"role": "user", "content": message.content}
        return {"role": "user", "content": [_part(part, pictures=pictures) for part in message.content]}
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.content
    ]
    return {"role": "assistant", "content": message.thought, "tool_calls": calls}


def _part(part: str | Image, *, pictures: bool) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": part.data_uri if pictures else ""}}
