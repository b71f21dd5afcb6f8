"""LlamaIndex's callbacks: a candidate tells the handlers of the routed LLM that it answers for, and its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler

from llama_index.llms.taskrouter._spans import spare

ROUTED: ContextVar[Sequence[BaseCallbackHandler]] = ContextVar("taskrouter_handlers", default=())
"""The handlers of the routed LLM whose call is being made. `Settings` may replace its manager at any time."""
ANSWERS: ContextVar[list[Any] | None] = ContextVar("taskrouter_answers", default=None)
"""Takes in the native answers of calls whose results show none, such as those of a structured prediction."""


class HandlerRaised(BaseException):
    """Carries what a handler raised out of a step, past the engine: it is no failure of the model."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Told(CallbackManager):
    """The callback manager of a candidate's copy: each handler is told once, whoever brought it.

    Args:
        own: the candidate's, as the user made it.
    """

    def __init__(self, own: CallbackManager) -> None:
        # The base class would put the global handlers in, which the routed LLM's manager has already. So it is with the
        # handlers of `Settings`, which a manager takes over that was given none: they may be others tomorrow.
        settings = Settings._callback_manager  # noqa: SLF001 - asking for it in public would make one
        self._own = None if settings is not None and own.handlers is settings.handlers else own
        self._trace_map = defaultdict(list)

    @property
    def handlers(self) -> list[BaseCallbackHandler]:  # type: ignore[override] # the base class has an attribute
        """The handlers at this moment: users add some later."""
        told = list(ROUTED.get())
        own = self._own.handlers if self._own is not None else []
        return told + [handler for handler in own if handler not in told]

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str | None = None,
        parent_id: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Tell the handlers that an event starts."""
        with _apart():
            return super().on_event_start(event_type, payload, event_id, parent_id, **kwargs)

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell the handlers that an event ends."""
        answers = ANSWERS.get()
        if answers is not None and event_type == CBEventType.LLM and payload is not None:
            answers.append(payload.get(EventPayload.RESPONSE) or payload.get(EventPayload.COMPLETION))
        with _apart():
            super().on_event_end(event_type, payload, event_id, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Told:
        return self


@contextmanager
def _apart() -> Iterator[None]:
    """Tell what a handler raises, such as a token budget, from what the model does."""
    try:
        yield
    except Exception as error:
        raise HandlerRaised(error) from error


@contextmanager
def handlers_errors() -> Iterator[None]:
    """Raise what a handler raised as it was; no step is to blame for it."""
    try:
        yield
    except HandlerRaised as carried:
        spare(carried.error)
        raise carried.error from carried.error.__cause__
