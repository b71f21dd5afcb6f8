"""What the models' runs inside one attempt say: whether one was called, what was streamed, what it raised."""

# ruff: noqa: ARG002 - a handler is told more than it needs

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import ChatGenerationChunk

from langchain_taskrouter._view import chunk_view
from taskrouter.execution.partial import Partial
from taskrouter.outcome import ResponseView, ToolCall

_MOST_LINKS = 10


class Watch(BaseCallbackHandler):
    """Sees the models' runs inside one attempt, whoever makes them."""

    run_inline = True  # else an asynchronous run tells it in a thread, and perhaps too late

    def __init__(self) -> None:
        self.asked = False
        """Whether a model was called at all."""
        self._errors: list[BaseException] = []
        self._tokens, self._events = Partial(), Partial()
        """What was streamed, by the two ways in which LangChain tells it; some models use both for one word."""

    @property
    def shown(self) -> bool:
        """Whether words, thoughts or tool calls have been streamed."""
        return self._tokens.meaningful or self._events.meaningful

    def partial(self) -> ResponseView:
        """Return what has been streamed."""
        return (self._tokens if self._tokens.meaningful else self._events).view()

    def explains(self, error: BaseException) -> bool:
        """Tell whether an exception is a model's, or was raised because of a model's."""
        link: BaseException | None = error
        for _ in range(_MOST_LINKS):
            if link is None:
                return False
            if any(link is known for known in self._errors):
                return True
            link = link.__cause__ or link.__context__
        return False

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        """Note that a model is called."""
        self.asked = True

    def on_llm_start(self, serialized: Any, prompts: Any, **kwargs: Any) -> None:
        """Note the same of a model that is no chat model."""
        self.asked = True

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **kwargs: Any) -> None:
        """Note what was streamed."""
        if isinstance(chunk, ChatGenerationChunk):
            self._tokens.add(chunk_view(chunk))
        elif isinstance(token, str):
            self._tokens.add(ResponseView(text=token))

    def on_stream_event(self, event: Any, **kwargs: Any) -> None:
        """Note what was streamed to those who read events (`version="v3"`)."""
        self._events.add(_event_view(event))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """Note what a model raised."""
        self._errors.append(error)


def _event_view(event: Mapping[str, Any]) -> ResponseView:
    part: Mapping[str, Any] = {}
    if event.get("event") == "content-block-delta":
        part = event.get("delta") or {}
    elif event.get("event") == "content-block-start":
        part = event.get("content") or {}
    part = part.get("fields") or part
    if "tool_call" in str(part.get("type")) or part.get("type") == "tool-call-delta":
        return ResponseView(tool_calls=(ToolCall(name=part.get("name") or "", arguments=part.get("args") or ""),))
    return ResponseView(text=part.get("text") or "", reasoning=part.get("reasoning") or "")
