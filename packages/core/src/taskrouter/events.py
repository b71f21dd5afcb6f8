"""Telling plugins what happens: they observe, and their failures cost their own observation only."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from typing import Any

import pluggy

from taskrouter.decision import Decision
from taskrouter.errors import ModelCallError, raised_at
from taskrouter.outcome import Attempt, Ending, Outcome, ResponseView, Role
from taskrouter.ports import Endpoint, StepObserver, VisitObserver

logger = logging.getLogger("taskrouter.plugins")


class Events:
    """The event hooks of a router's plugins; a hook that nobody implements costs nothing."""

    def __init__(self, plugins: pluggy.PluginManager) -> None:
        self._hook = plugins.hook
        self._decided = bool(plugins.hook.taskrouter_decided.get_hookimpls())
        self._attempted = bool(plugins.hook.taskrouter_attempted.get_hookimpls())
        self._completed = bool(plugins.hook.taskrouter_completed.get_hookimpls())

    def decided(self, decision: Decision) -> None:
        """A step was decided."""
        if self._decided:
            self._tell("taskrouter_decided", decision=decision)

    def attempted(self, decision: Decision, attempt: Attempt) -> None:
        """A call ended."""
        self._tell("taskrouter_attempted", decision=decision, attempt=attempt)

    def completed(self, outcome: Outcome[Any]) -> None:
        """A step was answered."""
        if self._completed:
            self._tell("taskrouter_completed", outcome=outcome)

    def observing(self, decision: Decision, inner: StepObserver) -> StepObserver:
        """Return an observer that also tells plugins of attempts, if one of them asks for it."""
        return _AttemptEvents(self, decision, inner) if self._attempted else inner

    def _tell(self, name: str, **event: object) -> None:
        try:
            getattr(self._hook, name)(**event)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the user's call does not fail for it
            logger.warning("a plugin failed in %s: %s", name, raised_at(error))


class _AttemptEvents:
    """Passes everything on to another observer, and attempts to the plugins too."""

    def __init__(self, events: Events, decision: Decision, inner: StepObserver) -> None:
        self._events, self._decision, self._inner = events, decision, inner

    def visit_started(self, endpoint: Endpoint, role: Role, index: int) -> VisitObserver:
        return _VisitEvents(self._events, self._decision, self._inner.visit_started(endpoint, role, index))

    def step_ended(self, ending: Ending) -> None:
        self._inner.step_ended(ending)


class _VisitEvents:
    """The same for one visit."""

    def __init__(self, events: Events, decision: Decision, inner: VisitObserver) -> None:
        self._events, self._decision, self._inner = events, decision, inner

    def attempt_ended(self, attempt: Attempt) -> None:
        self._inner.attempt_ended(attempt)
        self._events.attempted(self._decision, attempt)

    def ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        self._inner.ended(attempts, view, error)

    def attached(self) -> AbstractContextManager[object]:
        return self._inner.attached()

    def context(self) -> Context:
        return self._inner.context()
