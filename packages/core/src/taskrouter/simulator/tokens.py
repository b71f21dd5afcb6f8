"""One estimate of tokens for prompts, answers and limits: four characters each."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

from taskrouter.simulator.request import (
    AssistantMessage,
    ChatRequest,
    ImagePart,
    Message,
    RefusalPart,
    SchemaFormat,
    TextPart,
)

CHARS_PER_TOKEN = 4
IMAGE_CHARS = 85 * CHARS_PER_TOKEN
"""An image at low detail costs 85 tokens."""
PREFIXES_KEPT = 10_000


def count(text: str) -> int:
    """Estimate the tokens of a text."""
    return len(text) // CHARS_PER_TOKEN


def text_of(message: Message) -> str:
    """Return the text of a message without images and tool calls."""
    content = message.content
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(filter(None, map(_text, content)))


def prompt_tokens(request: ChatRequest) -> int:
    """Estimate the tokens of the whole prompt: messages, tool calls, tools and schema. At least one."""
    return max(1, sum(piece.chars for piece in _pieces(request)) // CHARS_PER_TOKEN)


def _text(part: TextPart | ImagePart | RefusalPart) -> str | None:
    if isinstance(part, ImagePart):
        return None
    return part.text if isinstance(part, TextPart) else part.refusal


def _image(part: TextPart | ImagePart | RefusalPart) -> bool:
    return isinstance(part, ImagePart)


class _Piece(NamedTuple):
    label: str
    text: str
    chars: int
    """Characters charged, images included."""


def _pieces(request: ChatRequest) -> Iterator[_Piece]:
    """Yield the prompt in the order in which a provider caches it."""
    head: list[BaseModel] = list(request.tools or ())
    if isinstance(request.response_format, SchemaFormat):
        head.append(request.response_format)
    for part in head:
        text = json.dumps(part.model_dump(exclude_none=True, by_alias=True), sort_keys=True)
        yield _Piece("head", text, len(text))
    for message in request.messages:
        images = sum(map(_image, message.content)) if isinstance(message.content, list) else 0
        calls = message.tool_calls if isinstance(message, AssistantMessage) else None
        text = text_of(message) + "".join(call.function.name + call.function.arguments for call in calls or ())
        yield _Piece(message.role, text, len(text) + images * IMAGE_CHARS)


class PrefixMemory:
    """Remembers prompt prefixes, to report cached prompt tokens as a provider's cache would."""

    def __init__(self, min_tokens: int) -> None:
        self._min_tokens = min_tokens
        self._seen: OrderedDict[str, None] = OrderedDict()

    def cached_tokens(self, request: ChatRequest) -> int:
        """Return the tokens of the longest prefix seen before, and remember this prompt."""
        digest = hashlib.sha256(f"{request.model}\0{request.prompt_cache_key}".encode())
        chars = cached = 0
        for piece in _pieces(request):
            digest.update(f"\0{piece.label}\0{piece.text}".encode())
            chars += piece.chars
            key = digest.hexdigest()
            if key in self._seen:
                cached = chars // CHARS_PER_TOKEN
            self._seen[key] = None
            self._seen.move_to_end(key)
        while len(self._seen) > PREFIXES_KEPT:
            self._seen.popitem(last=False)
        return cached if cached >= self._min_tokens else 0

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()
