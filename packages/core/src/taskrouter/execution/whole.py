"""One whole answer: asked of one model, and of another beside it if the first takes longer than it usually does."""

from __future__ import annotations

import math
from collections.abc import Generator

from taskrouter.execution.account import OpenAttempt
from taskrouter.execution.commands import Abandoned, Answered, Asked, Call, Command, Event
from taskrouter.execution.course import Course
from taskrouter.execution.judging import judged, whole_call
from taskrouter.execution.race import Race
from taskrouter.ports import Refusal


def whole(course: Course, open_: OpenAttempt) -> Asked:
    """Ask for a whole answer."""
    call = whole_call(course, open_)
    hedge_after_s = _hedge_after_s(course, call)
    if hedge_after_s is not None:
        return (yield from _raced(course, open_, call, hedge_after_s))
    try:
        event = yield call
    except (Abandoned, GeneratorExit) as gone:
        course.account.cancel(open_, course.gone_at_s(gone))
        raise
    course.limits.now_s = event.at_s
    return judged(course, open_, event)


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
    race = Race(course)
    hedge: OpenAttempt | None = None
    hedge_at_s = first.started_s + hedge_after_s
    try:
        yield from race.enter(first, call, first.started_s + call.timeout_s)
        while race:
            event = yield from race.event(hedge_at_s)
            if event is None:
                hedge_at_s = math.inf
                hedge = yield from _hedge(course, race, first)
                continue
            result = race.judged(event)
            if isinstance(result, Answered):
                yield from race.cancel()
                return result
            if hedge is not None and event.index == hedge.index:
                course.turns.learn(hedge.visit.endpoint, result)
    except (Abandoned, GeneratorExit) as gone:
        course.gone_at_s(gone)
        raise
    finally:
        race.give_up()
    assert first.visit.error is not None, first  # noqa: S101 - a race without a winner has only losers
    return first.visit.error


def _hedge(course: Course, race: Race, first: OpenAttempt) -> Generator[Command, Event, OpenAttempt | None]:
    """Start a call of the next model, if one can be called and paid."""
    admission = course.turns.beside(first.model, course.limits.now_s) if course.may_go_on() else None
    if admission is None:
        return None
    reservation = yield from course.reserve(admission, waits=False)
    if isinstance(reservation, Refusal):
        return None
    open_ = course.open(course.account.visit(admission, "hedge"), admission, reservation)
    call = whole_call(course, open_)
    yield from race.enter(open_, call, open_.started_s + call.timeout_s)
    return open_
