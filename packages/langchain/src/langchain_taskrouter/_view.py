"""What the router reads of a LangChain answer: its text, reasoning, tool calls, finish reason and usage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from taskrouter.outcome import ResponseView, ToolCall, Usage

_FINISH = ("finish_reason", "stop_reason", "done_reason", "status")
"""What providers call the reason for which an answer ended; the last is OpenAI's Responses API's."""
_ANSWERS = frozenset(
    {
        *("image", "image_url", "image_generation_call", "audio", "video", "file"),
        *("server_tool_use", "server_tool_call", "server_tool_result", "mcp_tool_use"),
        *("web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
        *("web_search_call", "file_search_call", "code_interpreter_call", "computer_call", "local_shell_call"),
        *("mcp_call", "mcp_approval_request"),
    }
)
"""Blocks that are an answer, or a part of one, without any text."""
_ANSWERS_BESIDE = ("audio", "function_call", "tool_outputs")
"""The same, where integrations keep them beside the content."""


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


class ChunkReader:
    """Reads the chunks of one stream after the other.

    It adds up their token counts: LangChain's chunks say what is new, the engine wants what there is.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget the stream so far: another one begins."""
        self._counted: UsageMetadata | None = None
        self._usage: Usage | None = None

    def view(self, chunk: ChatGenerationChunk) -> ResponseView:
        """Read the next chunk."""
        new = getattr(chunk.message, "usage_metadata", None)
        if new is not None:
            self._counted = add_usage(self._counted, new)
            self._usage = usage(self._counted)
        return chunk_view(chunk, self._usage)


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


def chunk_view(chunk: ChatGenerationChunk, counted: Usage | None = None) -> ResponseView:
    """Read one chunk; `counted` is what its stream has counted so far."""
    message = chunk.message
    calls: tuple[ToolCall, ...] = ()
    if isinstance(message, AIMessageChunk) and message.tool_call_chunks:
        calls = tuple(
            ToolCall(name=call["name"] or "", arguments=call["args"] or "", id=call["id"], index=_index(call["index"]))
            for call in message.tool_call_chunks
        )
    said, facts = chunk.generation_info, message.response_metadata
    return _view(message, calls, {**said, **facts} if said else facts, counted)


def _view(
    message: BaseMessage, calls: tuple[ToolCall, ...], facts: Mapping[str, Any], counted: Usage | None
) -> ResponseView:
    text, reasoning = _text(message)
    if not text and not calls:
        text = _otherwise(message)
    finish = next((said for name in _FINISH if (said := facts.get(name))), None)
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


def _otherwise(message: BaseMessage) -> str:
    """Return words that stand for an answer without text, such as an image; empty: there is none."""
    content = message.content
    blocks = [part.get("type") for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    kinds = [kind for kind in blocks if kind in _ANSWERS]
    kinds += [name for name in _ANSWERS_BESIDE if message.additional_kwargs.get(name)]
    return f"[{kinds[0]}]" if kinds else ""


def _is_thought(part: str | Mapping[str, Any]) -> bool:
    return isinstance(part, Mapping) and part.get("type") in ("reasoning", "thinking", "redacted_thinking")


def _thought(part: Mapping[str, Any]) -> str:
    for name in ("reasoning", "thinking", "data"):
        if isinstance(thought := part.get(name), str):
            return thought
    return "".join(piece.get("text") or "" for piece in part.get("summary") or () if isinstance(piece, Mapping))


def _index(index: Any) -> int | None:
    return index if isinstance(index, int) else None  # blocks of the v1 format may count in strings
