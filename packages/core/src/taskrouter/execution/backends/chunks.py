"""Reading the commonest chunk of a stream fast: one with a few words of text and nothing else.

The objects of the OpenAI SDK and of LiteLLM are pydantic models. What they have lies in two dictionaries; to ask one
for what it has not goes through pydantic's `__getattr__` and an exception, which takes longer than all the rest.
"""

from __future__ import annotations

from typing import Any

from taskrouter.outcome import ResponseView


def text_chunk_view(native: Any) -> ResponseView | None:
    """Return the view of a chunk with text alone; None: it is something else, and is to be read with care."""
    try:
        chunk = _fields(native)
        choice = _fields(chunk["choices"][0])
        delta = _fields(choice["delta"])
    except (AttributeError, KeyError, IndexError, TypeError):
        return None
    text = delta.get("content")
    if not isinstance(text, str) or chunk.get("usage") is not None:
        return None
    if delta.get("tool_calls") or delta.get("refusal") or delta.get("reasoning_content"):
        return None
    return ResponseView(
        text=text,
        finish_reason=choice.get("finish_reason"),
        model=chunk.get("model") or None,
        response_id=chunk.get("id") or None,
    )


def _fields(owner: Any) -> dict[str, Any]:
    declared: dict[str, Any] = owner.__dict__
    more = owner.__pydantic_extra__
    return {**declared, **more} if more else declared
