"""The observer for steps that nobody watches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context, copy_context

from taskrouter.errors import ModelCallError
from taskrouter.outcome import Attempt, OutcomeStatus, ResponseView, Role

_NOTHING: AbstractContextManager[object] = nullcontext()


class SilentObserver:
    """Does nothing; the base of observers that care about a part of what happens."""

    def visit_started(self, model: str, role: Role, index: int) -> None:
        """Ignore it."""

    def attempt_ended(self, attempt: Attempt) -> None:
        """Ignore it."""

    def visit_ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        """Ignore it."""

    def step_ended(self, status: OutcomeStatus, attempts: Sequence[Attempt]) -> None:
        """Ignore it."""

    def attached(self) -> AbstractContextManager[object]:
        """Leave the context as it is."""
        return _NOTHING

    def context(self) -> Context:
        """Return a copy of the current context."""
        return copy_context()
