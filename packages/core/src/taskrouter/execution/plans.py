"""Plans of several models: what is asked before the usual turns begin, and what is said of it afterwards.

The order of attempts is that of `Turns`, whatever the plan: a plan changes who comes first, may answer before anybody's
turn, and keeps what it has been told for the case that all turns fail.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from taskrouter.execution.agreement import Agreement
from taskrouter.execution.commands import Answered, Command, Event
from taskrouter.execution.course import Course
from taskrouter.outcome import Check, Proposal, Role


class Several(Protocol):
    """A plan of several models, being carried out."""

    def begin(self) -> Generator[Command, Event, Answered | None]:
        """Do what comes before the usual turns; return the answer if that gave one."""
        ...

    def last_resort(self) -> Generator[Command, Event, Answered | None]:
        """Return an answer that was not good enough to be taken at once, now that everything else has failed."""
        ...

    def check(self) -> Check:
        """Return what came of the plan's check."""
        ...

    def proposals(self) -> tuple[Proposal, ...]:
        """Return what the proposers came to, beside the answer that was taken."""
        ...


def several(course: Course, *, streamed: bool) -> Several | None:
    """Return the plan of a step if it has several models.

    A stream that is handed on while it is written cannot be checked: then the last model is asked, as it would be
    without a plan.
    """
    plan = course.decision.plan
    if plan.kind == "single":
        return None
    if len(plan.models) == 1 or (streamed and not course.settings.buffer_streams):
        return _Unchecked(course)
    return Agreement(course, streamed=streamed) if plan.kind == "agree" else _Gated(course)


class _InTurns:
    """A plan that is nothing but an order of turns."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def begin(self) -> Generator[Command, Event, Answered | None]:
        yield from ()
        return None

    last_resort = begin

    def check(self) -> Check:
        return "none"

    def proposals(self) -> tuple[Proposal, ...]:
        return ()


class _Unchecked(_InTurns):
    """A plan of which the last model is asked first."""

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        course.ask_first(course.decision.plan.models[-1])


class _Gated(_InTurns):
    """A plan `gate`: the models in their order, until one's answer passes the gates, which judge every answer."""

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        first, *others = course.decision.plan.models
        course.turns.lead_with(first)
        roles: dict[str, Role] = dict.fromkeys(others, "escalation")
        course.account.roles = {**roles, first: "primary"}

    def check(self) -> Check:
        account, first = self._course.account, self._course.decision.plan.models[0]
        if account.answered is None:
            return "none"
        if account.answered.model == first:
            return "passed"
        return "escalated" if any(a.model == first and a.status == "failed" for a in account.attempts) else "none"
