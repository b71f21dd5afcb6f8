"""LlamaIndex messages and tools in the chat-completions shape: for profiling, and for the router's own backends."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
)
from llama_index.core.tools import BaseTool, ToolMetadata

from llama_index.llms.taskrouter._calls import as_legacy, calls_of
from taskrouter.step import ROLES, Message, Tool

_ROLES = {"chatbot": "assistant", "model": "assistant"}
_A_PICTURE = {"type": "image_url"}
"""What stands for a picture in what is profiled: it is counted, not looked at."""
Part = dict[str, Any]


def conversation(user_msg: str | ChatMessage | None, chat_history: Sequence[ChatMessage] | None) -> list[ChatMessage]:
    """Return the messages of a call with tools. The integrations do not agree on which of both they take."""
    if user_msg is None:
        return list(chat_history or ())
    said = ChatMessage(user_msg, role=MessageRole.USER) if isinstance(user_msg, str) else user_msg
    return [*(chat_history or ()), said]


def profiled(messages: Sequence[ChatMessage]) -> list[Message]:
    """Return the messages as the router profiles them. Pure: nothing is changed or read from elsewhere."""
    return [_message(message, _shown) for message in messages]


def on_the_wire(messages: Sequence[ChatMessage]) -> list[Message]:
    """Return the messages as an OpenAI-compatible server takes them, with everything in them.

    Raises:
        ValueError: a block has no form there.
    """
    return [_message(message, _sent) for message in messages]


def _message(message: ChatMessage, part: Callable[[Any], Iterator[Part]]) -> Message:
    role = message.role.value
    shaped: dict[str, Any] = {"role": role if role in ROLES else _ROLES.get(role, "user")}
    blocks = message.blocks
    if len(blocks) == 1 and isinstance(blocks[0], TextBlock):
        shaped["content"] = blocks[0].text
    else:
        parts = [each for block in blocks for each in part(block)]
        plain = all(each["type"] == "text" for each in parts)
        shaped["content"] = "\n".join(each["text"] for each in parts) if plain else parts
    if shaped["role"] == "assistant" and (calls := calls_of(message)):
        shaped["tool_calls"] = as_legacy(calls)
        shaped["content"] = shaped["content"] or None
    elif shaped["role"] in ("tool", "function") and (found := message.additional_kwargs.get("tool_call_id")):
        shaped["tool_call_id"] = found
    return shaped


def _shown(block: Any) -> Iterator[Part]:
    if isinstance(block, TextBlock):
        yield {"type": "text", "text": block.text}
    elif isinstance(block, ImageBlock):
        yield _A_PICTURE
    elif isinstance(block, CitableBlock):
        for inner in block.content:
            yield from _shown(inner)


def _sent(block: Any) -> Iterator[Part]:
    match block:
        case TextBlock():
            yield {"type": "text", "text": block.text}
        case ImageBlock():
            url = str(block.url) if block.url else _data_url(block.image_mimetype or "image/png", block.resolve_image)
            yield {"type": "image_url", "image_url": {"url": url, **({"detail": block.detail} if block.detail else {})}}
        case AudioBlock():
            sound = block.resolve_audio(as_base64=True).read().decode()
            yield {"type": "input_audio", "input_audio": {"data": sound, "format": block.format}}
        case DocumentBlock():
            yield {"type": "file", "file": {"filename": block.title, "file_data": block.inline_url()}}
        case CitableBlock():
            for inner in block.content:
                yield from _sent(inner)
        case _ if block.block_type == "video":
            raise ValueError("an OpenAI-compatible server takes no video: give such steps to a candidate that does")


def _data_url(kind: str, resolve: Callable[..., Any]) -> str:
    return f"data:{kind};base64,{resolve(as_base64=True).read().decode()}"


class ToolShapes:
    """Tools in the chat-completions shape, each made once: LlamaIndex builds the schema anew at every call.

    Args:
        remembered: how many; the oldest go first.
    """

    def __init__(self, remembered: int = 512) -> None:
        self._remembered = remembered
        self._known: OrderedDict[tuple[Any, ...], tuple[ToolMetadata, Tool]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, tools: Sequence[BaseTool]) -> list[Tool]:
        """Return the tools in that shape."""
        return [self._shape(tool.metadata) for tool in tools]

    def _shape(self, metadata: ToolMetadata) -> Tool:
        key = (id(metadata), metadata.name, metadata.description, id(metadata.fn_schema))
        known = self._known.get(key)
        if known is None:  # the metadata are kept with it, so that nobody else gets their id
            known = metadata, metadata.to_openai_tool(skip_length_check=True)
            with self._lock:
                self._known[key] = known
                if len(self._known) > self._remembered:
                    self._known.popitem(last=False)
        return known[1]
