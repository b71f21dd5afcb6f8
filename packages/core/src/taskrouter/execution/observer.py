"""The observer for steps that nobody watches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context, copy_context

from taskrouter.errors import ModelCallError
from taskrouter.outcome import Attempt, Ending, ResponseView, Role
from taskrouter.ports import Endpoint, VisitObserver

_NOTHING: AbstractContextManager[object] = nullcontext()


class SilentVisit:
    """Does nothing; the base of observers that care about a part of what happens."""

    def attempt_ended(self, attempt: Attempt) -> None:
        """Ignore it."""

    def ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        """Ignore it."""

    def attached(self) -> AbstractContextManager[object]:
        """Leave the context as it is."""
        return _NOTHING

    def context(self) -> Context:
        """Return a copy of the current context."""
        return copy_context()


_SILENT = SilentVisit()


class SilentObserver:
    """Does nothing; the base of observers that care about a part of what happens."""

    def visit_started(self, endpoint: Endpoint, role: Role, index: int) -> VisitObserver:
        """Ignore the visit."""
        return _SILENT

    def step_ended(self, ending: Ending) -> None:
        """Ignore it."""
