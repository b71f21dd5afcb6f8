"""Reading answers in the chat-completions shape, whole or in chunks, as objects or as mappings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from taskrouter.errors import LocalFailure
from taskrouter.outcome import ResponseView, ToolCall, Usage


def chat_completion_view(native: Any) -> ResponseView:
    """Read a chat completion, one chunk of one, or a bare string."""
    if isinstance(native, str):
        return ResponseView(text=native)
    choices = _get(native, "choices")
    choice = choices[0] if choices else None
    message = _get(choice, "message") or _get(choice, "delta")
    return ResponseView(
        text=_text(_get(message, "content")),
        reasoning=_text(_get(message, "reasoning_content")),
        tool_calls=tuple(_tool_call(call) for call in _get(message, "tool_calls") or ()),
        finish_reason=_get(choice, "finish_reason"),
        usage=_usage(_get(native, "usage")),
        model=_get(native, "model") or None,
        response_id=_get(native, "id") or None,
        refused=bool(_get(message, "refusal")),
    )


def no_view(view: object, model: str) -> LocalFailure:
    """Say that a caller's `view` returned something else."""
    return LocalFailure(
        model, detail=f"answered, but `view` gave a {type(view).__name__}: it must return a ResponseView"
    )


def _get(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(_get(part, "text") or "" for part in content or ())


def _tool_call(call: Any) -> ToolCall:
    function = _get(call, "function")
    arguments = _get(function, "arguments") or ""
    return ToolCall(
        name=_get(function, "name") or "",
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
        id=_get(call, "id"),
        index=_get(call, "index"),
    )


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    details = _get(usage, "prompt_tokens_details")
    return Usage(
        input_tokens=_get(usage, "prompt_tokens") or 0,
        output_tokens=_get(usage, "completion_tokens") or 0,
        cached_input_tokens=_get(details, "cached_tokens") or 0,
    )
