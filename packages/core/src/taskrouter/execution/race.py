"""Calls of one step beside one another: a hedge beside the call that is slow, proposals beside each other."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from taskrouter.errors import ModelCallError, Timeout
from taskrouter.execution.account import OpenAttempt
from taskrouter.execution.commands import (
    Answered,
    Await,
    Call,
    CallEnd,
    Cancel,
    Command,
    Done,
    Event,
    Failed,
    Gather,
    Gathered,
    Start,
)
from taskrouter.execution.course import Course
from taskrouter.execution.judging import judged, judged_stream


@dataclass(slots=True, kw_only=True)
class _Runner:
    """A call under way."""

    open_: OpenAttempt
    ends_at_s: float
    """When it must be over; of a stream at the latest."""
    first_token_at_s: float = 0.0
    stall_timeout_s: float = 0.0
    into: Gathered | None = None
    """What has arrived of a stream."""

    @property
    def is_whole_visit(self) -> bool:
        """Whether the visit consists of this call alone; if not it is the engine's, which may call again."""
        return self.open_.visit.role in ("hedge", "propose")

    def due_at_s(self) -> float:
        """Return when to give it up, should nothing more be heard of it."""
        if self.into is None:
            return self.ends_at_s
        begun = self.into.first_token_at_s is not None
        return min(self.ends_at_s, self.into.latest_at_s + self.stall_timeout_s if begun else self.first_token_at_s)


class Race:
    """The calls that are under way beside one another."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._running: dict[int, _Runner] = {}
        """By the index of the attempt."""

    def __len__(self) -> int:
        return len(self._running)

    def enter(self, open_: OpenAttempt, call: Call | Gather, ends_at_s: float) -> Generator[Command, Event, None]:
        """Start a call."""
        runner = _Runner(open_=open_, ends_at_s=ends_at_s)
        if isinstance(call, Gather):
            runner.first_token_at_s = open_.started_s + call.timeout_s
            runner.stall_timeout_s = call.stall_timeout_s
            runner.into = call.into
        self._running[open_.index] = runner
        self._course.limits.now_s = (yield Start(call)).at_s

    def event(self, until_s: float = math.inf) -> Generator[Command, Event, CallEnd | None]:
        """Wait until a call ends or runs out of time; None: until then."""
        limits = self._course.limits
        while True:
            runner = min(self._running.values(), key=_Runner.due_at_s)
            due_at_s = runner.due_at_s()
            event = yield Await(max(0.0, min(due_at_s, until_s) - limits.now_s))
            limits.now_s = max(limits.now_s, event.at_s)  # it may have ended while its hedge was being paid
            if isinstance(event, Answered | Failed):
                return event
            assert isinstance(event, Done), event  # noqa: S101 - the driver's contract
            if until_s < due_at_s:
                return None
            if runner.due_at_s() <= due_at_s:
                break  # else more of its stream has arrived
        limits.now_s = (yield Cancel(runner.open_.index)).at_s
        if runner.into is not None:
            runner.into.given_up = True
        return Failed(Timeout(runner.open_.model), limits.now_s, runner.open_.index)

    def judged(self, event: CallEnd) -> Answered | ModelCallError:
        """Book what came of a call."""
        runner = self._running.pop(event.index)
        try:
            if runner.into is not None:
                return judged_stream(self._course, runner.open_, event, runner.into)
            return judged(self._course, runner.open_, event)
        finally:
            if runner.is_whole_visit:
                runner.open_.visit.end()

    def cancel(self) -> Generator[Command, Event, None]:
        """End the calls that have lost."""
        for index in tuple(self._running):
            self._course.limits.now_s = (yield Cancel(index)).at_s
        self.give_up()

    def give_up(self) -> None:
        """Book as cancelled whatever still runs."""
        while self._running:
            _, runner = self._running.popitem()
            view = None
            if runner.into is not None:
                runner.into.given_up = True
                view = runner.into.partial.view()
            self._course.account.cancel(runner.open_, self._course.limits.now_s, view)
            if runner.is_whole_visit:
                runner.open_.visit.end()
