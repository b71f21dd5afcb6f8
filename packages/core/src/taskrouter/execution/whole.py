"""One whole answer: asked of one model, and of another beside it if the first takes longer than it usually does."""

from __future__ import annotations

import math
from collections.abc import Generator

from taskrouter.errors import ModelCallError, StreamBroken, Timeout
from taskrouter.execution.account import OpenAttempt
from taskrouter.execution.classify import classify
from taskrouter.execution.commands import (
    Abandoned,
    Answered,
    Asked,
    Await,
    Call,
    CallEnd,
    Cancel,
    Command,
    Done,
    Event,
    Failed,
    Start,
)
from taskrouter.execution.course import Course
from taskrouter.execution.views import no_view
from taskrouter.outcome import ResponseView
from taskrouter.ports import Refusal


def whole(course: Course, open_: OpenAttempt) -> Asked:
    """Ask for a whole answer."""
    call = _call(course, open_)
    hedge_after_s = _hedge_after_s(course, call)
    if hedge_after_s is not None:
        return (yield from _raced(course, open_, call, hedge_after_s))
    try:
        event = yield call
    except (Abandoned, GeneratorExit) as gone:
        course.account.cancel(open_, course.gone_at_s(gone))
        raise
    course.limits.now_s = event.at_s
    return _judged(course, open_, event)


def _call(course: Course, open_: OpenAttempt) -> Call:
    visit = open_.visit
    timeout_s = course.timeout_s(open_, course.settings.timeout_s)
    return Call(visit.endpoint, open_.index, visit.role, timeout_s, visit.observer)


def _judged(course: Course, open_: OpenAttempt, event: Event) -> Answered | ModelCallError:
    """Book what came of a call."""
    account = course.account
    if isinstance(event, Failed):
        failed = classify(event.error, open_.model)
        return account.fail(open_, failed, event.at_s, failed.partial if isinstance(failed, StreamBroken) else None)
    assert isinstance(event, Answered), event  # noqa: S101 - the driver's contract
    if not isinstance(event.view, ResponseView):
        return account.fail(open_, no_view(event.view, open_.model), event.at_s, ResponseView())
    if not event.view.shown and (error := course.fault(open_, event.view)):
        return account.fail(open_, error, event.at_s, event.view)
    account.succeed(open_, event.view, event.at_s)
    return event


# --- hedging --------------------------------------------------------------------------------------------------------


def _hedge_after_s(course: Course, call: Call) -> float | None:
    """Return after how long another model is to be called too; None: not at all."""
    quantile = course.settings.hedge_quantile
    if quantile is None or not course.may_go_on() or not course.turns.others():
        return None
    usual_s = course.access.latency_s(call.model, quantile)
    return usual_s if usual_s is not None and usual_s < call.timeout_s else None


def _raced(course: Course, first: OpenAttempt, call: Call, hedge_after_s: float) -> Asked:
    """Make a call, and another beside it when that is due; the first good answer is taken."""
    race = _Race(course)
    hedge_at_s = first.started_s + hedge_after_s
    try:
        yield from race.enter(first, call)
        while race.is_on:
            event = yield from race.event(hedge_at_s)
            if event is None:
                hedge_at_s = math.inf
                yield from race.hedge(first)
            elif isinstance(result := race.judged(event), Answered):
                yield from race.cancel()
                return result
    except (Abandoned, GeneratorExit) as gone:
        course.gone_at_s(gone)
        raise
    finally:
        race.give_up()
    assert first.visit.error is not None, first  # noqa: S101 - a race without a winner has only losers
    return first.visit.error


class _Race:
    """Calls of one step beside one another. The visit of a hedge is its only call; the first one's is the engine's."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._running: dict[int, tuple[OpenAttempt, float]] = {}
        """By index, with the time when it must be over."""

    @property
    def is_on(self) -> bool:
        """Whether a call is under way."""
        return bool(self._running)

    def enter(self, open_: OpenAttempt, call: Call) -> Generator[Command, Event, None]:
        """Start a call."""
        self._running[open_.index] = open_, open_.started_s + call.timeout_s
        self._course.limits.now_s = (yield Start(call)).at_s

    def hedge(self, first: OpenAttempt) -> Generator[Command, Event, None]:
        """Start a call of the next model, if one can be called and paid."""
        course = self._course
        admission = course.turns.beside(first.model, course.limits.now_s) if course.may_go_on() else None
        if admission is None:
            return
        reservation = yield from course.reserve(admission, waits=False)
        if not isinstance(reservation, Refusal):
            open_ = course.open(course.account.visit(admission, "hedge"), admission, reservation)
            yield from self.enter(open_, _call(course, open_))

    def event(self, hedge_at_s: float) -> Generator[Command, Event, CallEnd | None]:
        """Wait until a call ends or runs out of time; None: until the hedge is due."""
        limits = self._course.limits
        open_, ends_at_s = min(self._running.values(), key=lambda running: running[1])
        event = yield Await(max(0.0, min(ends_at_s, hedge_at_s) - limits.now_s))
        limits.now_s = max(limits.now_s, event.at_s)  # it may have ended while its hedge was being paid
        if isinstance(event, Answered | Failed):
            return event
        assert isinstance(event, Done), event  # noqa: S101 - the driver's contract
        if hedge_at_s < ends_at_s:
            return None
        limits.now_s = (yield Cancel(open_.index)).at_s
        return Failed(Timeout(open_.model), limits.now_s, open_.index)

    def judged(self, event: CallEnd) -> Answered | ModelCallError:
        """Book what came of a call."""
        open_, _ = self._running.pop(event.index)
        is_hedge = open_.visit.role == "hedge"
        try:
            result = _judged(self._course, open_, event)
        finally:
            if is_hedge:
                open_.visit.end()
        if is_hedge and isinstance(result, ModelCallError):
            self._course.turns.learn(open_.visit.endpoint, result)
        return result

    def cancel(self) -> Generator[Command, Event, None]:
        """End the calls that have lost."""
        for index in tuple(self._running):
            self._course.limits.now_s = (yield Cancel(index)).at_s
        self.give_up()

    def give_up(self) -> None:
        """Book as cancelled whatever still runs."""
        for open_, _ in self._running.values():
            self._course.account.cancel(open_, self._course.limits.now_s)
            if open_.visit.role == "hedge":
                open_.visit.end()
        self._running.clear()
