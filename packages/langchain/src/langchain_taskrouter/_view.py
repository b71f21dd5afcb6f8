"""What the router reads of a LangChain answer: its text, reasoning, tool calls, finish reason and usage."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from taskrouter.outcome import ResponseView, ToolCall, Usage


class Viewed(NamedTuple):
    """A native chunk with what is to be read of it."""

    chunk: ChatGenerationChunk
    view: ResponseView


def result_view(result: ChatResult) -> ResponseView:
    """Read a whole answer."""
    generation = result.generations[0]
    message = generation.message
    calls: tuple[ToolCall, ...] = ()
    if isinstance(message, AIMessage):
        whole = (
            ToolCall(name=call["name"], arguments=json.dumps(call["args"], default=str), id=call["id"])
            for call in message.tool_calls
        )
        broken = (
            ToolCall(name=call["name"] or "", arguments=call["args"] or "", id=call["id"])
            for call in message.invalid_tool_calls
        )
        calls = (*whole, *broken)
    facts = {**(result.llm_output or {}), **(generation.generation_info or {}), **message.response_metadata}
    return _view(message, calls, facts, usage(getattr(message, "usage_metadata", None)))


def viewed(chunks: Iterator[ChatGenerationChunk]) -> Iterator[Viewed]:
    """Read the chunks of one stream."""
    counted: UsageMetadata | None = None
    with closing(chunks):  # type: ignore[type-var] # the streams of `_delegate` are generators
        for chunk in chunks:
            counted = _counted(counted, chunk)
            yield Viewed(chunk, chunk_view(chunk, counted))


async def aviewed(chunks: AsyncIterator[ChatGenerationChunk]) -> AsyncIterator[Viewed]:
    """Read the chunks of one stream."""
    counted: UsageMetadata | None = None
    async with aclosing(chunks):  # type: ignore[type-var] # the streams of `_delegate` are generators
        async for chunk in chunks:
            counted = _counted(counted, chunk)
            yield Viewed(chunk, chunk_view(chunk, counted))


def usage(counted: UsageMetadata | None) -> Usage | None:
    """Read token counts. An answer out of LangChain's cache has cost nothing."""
    if counted is None:
        return None
    if counted.get("total_cost") == 0:  # LangChain's mark of a cached answer
        return Usage()
    details = counted.get("input_token_details") or {}
    return Usage(
        input_tokens=counted.get("input_tokens") or 0,
        output_tokens=counted.get("output_tokens") or 0,
        cached_input_tokens=details.get("cache_read") or 0,
    )


def _counted(before: UsageMetadata | None, chunk: ChatGenerationChunk) -> UsageMetadata | None:
    """Add a chunk's counts: LangChain's chunks say what is new, the engine wants what there is."""
    new = getattr(chunk.message, "usage_metadata", None)
    return before if new is None else add_usage(before, new)


def chunk_view(chunk: ChatGenerationChunk, counted: UsageMetadata | None = None) -> ResponseView:
    """Read one chunk; `counted` is what its stream has counted so far."""
    message = chunk.message
    calls: tuple[ToolCall, ...] = ()
    if isinstance(message, AIMessageChunk):
        calls = tuple(
            ToolCall(name=call["name"] or "", arguments=call["args"] or "", id=call["id"], index=_index(call["index"]))
            for call in message.tool_call_chunks
        )
    facts = {**(chunk.generation_info or {}), **message.response_metadata}
    return _view(message, calls, facts, usage(counted))


def _view(
    message: BaseMessage, calls: tuple[ToolCall, ...], facts: Mapping[str, Any], counted: Usage | None
) -> ResponseView:
    text, reasoning = _text(message)
    finish = facts.get("finish_reason") or facts.get("stop_reason") or facts.get("done_reason")
    return ResponseView(
        text=text,
        reasoning=reasoning,
        tool_calls=calls,
        finish_reason=str(finish) if finish else None,
        usage=counted,
        model=facts.get("model_name") or facts.get("model") or None,
        response_id=facts.get("id") or None,
        refused=finish == "refusal" or bool(message.additional_kwargs.get("refusal")),
    )


def _text(message: BaseMessage) -> tuple[str, str]:
    said = message.additional_kwargs.get("reasoning_content")
    reasoning = said if isinstance(said, str) else ""
    content = message.content
    if isinstance(content, str):
        return content, reasoning
    texts = [part if isinstance(part, str) else part.get("text") or "" for part in content if not _is_thought(part)]
    thoughts = [_thought(part) for part in content if isinstance(part, Mapping) and _is_thought(part)]
    return "".join(texts), reasoning + "".join(thoughts)


def _is_thought(part: str | Mapping[str, Any]) -> bool:
    return isinstance(part, Mapping) and part.get("type") in ("reasoning", "thinking", "redacted_thinking")


def _thought(part: Mapping[str, Any]) -> str:
    for name in ("reasoning", "thinking", "data"):
        if isinstance(thought := part.get(name), str):
            return thought
    return "".join(piece.get("text") or "" for piece in part.get("summary") or () if isinstance(piece, Mapping))


def _index(index: Any) -> int | None:
    return index if isinstance(index, int) else None  # blocks of the v1 format may count in strings
