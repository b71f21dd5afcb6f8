"""What the router reads of an answer of the Agent Framework: its text, reasoning, tool calls, finish reason, usage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from agent_framework import ChatResponse, ChatResponseUpdate, Content

from taskrouter.outcome import ResponseView, ToolCall, Usage

_SILENT = frozenset({"usage", "error", "function_result", "text", "text_reasoning", "function_call"})
"""Contents that stand for no answer, or are read otherwise; any other kind is one, or a part of one."""
_TEXTS = frozenset({"text", "text_reasoning"})
_BESIDE = ("anthropic.cache_read_input_tokens", "anthropic.cache_creation_input_tokens")
"""Input tokens that Anthropic, unlike the others, counts beside the rest."""
_CACHED = ("cache_read_input_token_count", "anthropic.cache_read_input_tokens", "prompt/cached_tokens")
"""Input tokens read from a cache: the framework's name, and what its clients said before there was one."""


def response_view(response: ChatResponse[Any]) -> ResponseView:
    """Read a whole answer."""
    contents = [content for message in response.messages for content in message.contents]
    calls = tuple(_call(content) for content in contents if content.type == "function_call" and is_ours(content))
    usage = response.usage_details
    return _view(response, contents, calls, None if usage is None else _usage(usage))


class UpdateReader:
    """Reads the updates of one stream after the other.

    It numbers the calls, whose fragments the framework tells apart by their ids; adds up token counts, as some clients
    say what is new and others what there is; and passes over what is said again: OpenAI's Responses API ends every part
    with the whole of it.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget the stream so far: another one begins."""
        self._calls: dict[str, int] = {}
        self._usage: Usage | None = None
        self._open: set[str] = set()
        """The parts of which something has been said since they were last said as a whole."""

    def view(self, update: ChatResponseUpdate) -> ResponseView:
        """Read the next update."""
        contents: list[Content] = []
        calls: list[ToolCall] = []
        for content in update.contents:
            if content.type == "usage":
                self._count(content)
            elif content.type != "function_call":
                if content.type not in _TEXTS or self._is_new(content.type, content):
                    contents.append(content)
            elif is_ours(content):
                index = self._index(content)
                if self._is_new(f"call {index}", content):
                    calls.append(_call(content, index))
        return _view(update, contents, tuple(calls), self._usage)

    def _is_new(self, part: str, content: Content) -> bool:
        if not _says_again(content):
            self._open.add(part)
            return True
        said = part in self._open
        self._open.discard(part)
        return not said

    def _count(self, content: Content) -> None:
        counted = _usage(content.usage_details or {})
        again = self._usage is None or _says_again(content)
        self._usage = counted if again or self._usage is None else self._usage + counted

    def _index(self, content: Content) -> int:
        key = content.id or content.call_id
        if not key:
            return max(0, len(self._calls) - 1)
        return self._calls.setdefault(key, len(self._calls))


def refused(content: Content) -> bool:
    """Whether a text is marked as the model's refusal."""
    said = content.additional_properties
    namespace = said.get("core")
    kind = namespace.get("model_output_kind") if isinstance(namespace, Mapping) else None
    return "refusal" in (kind, said.get("model_output_kind"))


def is_ours(call: Content) -> bool:
    """Whether a call waits for the application; one that the provider has run is told for information."""
    return not call.informational_only and not is_hosted_call(call)


def is_hosted_call(call: Content | None) -> bool:
    """Whether a call is of a tool that its provider runs. Calls do not say so before agent-framework-core 1.22."""
    return bool(getattr(call, "hosted", None))


def arguments_text(content: Content) -> str:
    """Return the arguments of a call as JSON text, as far as they are there."""
    arguments = content.arguments
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(dict(arguments), default=str)


def _view(
    said: ChatResponse[Any] | ChatResponseUpdate,
    contents: Iterable[Content],
    calls: tuple[ToolCall, ...],
    usage: Usage | None,
) -> ResponseView:
    contents = list(contents)
    texts = [content for content in contents if content.type == "text"]
    text = "".join(content.text or "" for content in texts)
    if not text and not calls:
        text = _otherwise(said, contents)
    thoughts = (content for content in contents if content.type == "text_reasoning")
    return ResponseView(
        text=text,
        reasoning="".join(thought.text or thought.protected_data or "" for thought in thoughts),
        tool_calls=calls,
        finish_reason=said.finish_reason or None,
        usage=usage,
        model=said.model or None,
        response_id=said.response_id or None,
        refused=any(refused(content) for content in texts),
    )


def _otherwise(said: ChatResponse[Any] | ChatResponseUpdate, contents: Iterable[Content]) -> str:
    """Return words that stand for an answer without text, such as a picture; empty: there is none."""
    kinds: list[str] = [content.type for content in contents if content.type not in _SILENT]
    if not kinds and isinstance(said, ChatResponse) and said.continuation_token is not None:
        kinds = ["in_progress"]  # it goes on at the provider's, and is asked for with this token
    return f"[{kinds[0]}]" if kinds else ""


def _says_again(content: Content) -> bool:
    """Whether a part is the whole of what its pieces said. Parts do not say so before agent-framework-core 1.22."""
    return getattr(content, "merge_mode", None) == "replace"


def _call(content: Content, index: int | None = None) -> ToolCall:
    return ToolCall(name=content.name or "", arguments=arguments_text(content), id=content.call_id or None, index=index)


def _usage(counted: Mapping[str, Any]) -> Usage:
    beside = sum(counted.get(name) or 0 for name in _BESIDE)
    return Usage(
        input_tokens=(counted.get("input_token_count") or 0) + beside,
        output_tokens=counted.get("output_token_count") or 0,
        cached_input_tokens=next((count for name in _CACHED if (count := counted.get(name))), 0),
    )
