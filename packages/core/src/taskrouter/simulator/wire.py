"""Replies in the API's JSON: the whole completion, or the chunks of a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from taskrouter.simulator.answering import Answer
from taskrouter.simulator.simulation import Reply
from taskrouter.simulator.tokens import count

FINGERPRINT = "simulated"
DONE = b"data: [DONE]\n\n"
FRAGMENT_CHARS = 12
"""Length of a piece of a tool call's arguments."""


class Chunk(NamedTuple):
    """One server-sent event of a stream."""

    data: bytes
    tokens: int
    """Estimated tokens it carries."""


def completion(reply: Reply) -> dict[str, Any]:
    """Return the document that answers a plain request."""
    answer = reply.answer
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": answer.refusal,
        "annotations": [],
    }
    if answer.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    return {**_head(reply, "chat.completion"), "choices": [choice], "usage": usage(reply)}


def opening(reply: Reply) -> Chunk:
    """Return the chunk that opens a stream: the role and nothing else."""
    content = "" if reply.answer.text is not None else None
    return _chunk(reply, {"role": "assistant", "content": content, "refusal": None})


def body(reply: Reply) -> Iterator[Chunk]:
    """Yield the content: word by word, or each tool call's name and then its arguments in pieces."""
    for delta, text in _deltas(reply.answer):
        yield _chunk(reply, delta, tokens=max(1, count(text)))


def closing(reply: Reply) -> Iterator[Chunk]:
    """Yield the finish reason, the usage where it was asked for, and the end mark."""
    yield _chunk(reply, {}, finish_reason=reply.answer.finish_reason)
    if _wants_usage(reply):
        document = {**_head(reply, "chat.completion.chunk"), "choices": [], "usage": usage(reply)}
        yield Chunk(_event(document), 0)
    yield Chunk(DONE, 0)


def error(document: Mapping[str, Any]) -> bytes:
    """Return the event that tells of an error in the middle of a stream."""
    return _event(document)


def usage(reply: Reply) -> dict[str, Any]:
    """Return what the call is charged."""
    prompt, completion_tokens = reply.prompt_tokens, reply.answer.tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _head(reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": reply.id,
        "object": kind,
        "created": reply.created,
        "model": reply.model.id,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _deltas(answer: Answer) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each delta with the text that it carries."""
    for key, text in (("content", answer.text), ("refusal", answer.refusal)):
        for word in re.findall(r"\s*\S+|\s+", text or ""):
            yield {key: word}, word
    for index, call in enumerate(answer.calls):
        named = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [named]}, call.name
        for start in range(0, len(call.arguments), FRAGMENT_CHARS):
            piece = call.arguments[start : start + FRAGMENT_CHARS]
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, piece


def _chunk(reply: Reply, delta: dict[str, Any], *, finish_reason: str | None = None, tokens: int = 0) -> Chunk:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    document = {**_head(reply, "chat.completion.chunk"), "choices": [choice]}
    if _wants_usage(reply):
        document["usage"] = None
    return Chunk(_event(document), tokens)


def _wants_usage(reply: Reply) -> bool:
    options = reply.request.stream_options
    return options is not None and bool(options.include_usage)


_encode = json.JSONEncoder(separators=(",", ":")).encode  # made once: `json.dumps` makes one for every call


def _event(document: Mapping[str, Any]) -> bytes:
    return f"data: {_encode(document)}\n\n".encode()
