"""What the evidence of a cell proves: every way in which a step may go wrong is one function here."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from benchmarks.chaos.cell import LIMIT_S, Cell, Evidence, observe
from benchmarks.chaos.expected import HANGING, LIMITS, Fate, fates
from benchmarks.chaos.stage import FIRST, RETRY_AFTER_S, SECOND, Stage

from taskrouter.budget.purse import nano_usd
from taskrouter.errors import AllAttemptsFailedError, BudgetExceededError, StreamBroken

_PASSES = {
    Fate.RETRY: [FIRST, FIRST, SECOND],
    Fate.NEXT: [FIRST, SECOND],
    Fate.STANDS: [FIRST],
    Fate.CUT: [FIRST],
    Fate.BROKEN: [FIRST],
}
_ALL_FAIL = {**_PASSES, Fate.RETRY: [FIRST, FIRST, SECOND, SECOND]}
_ON_THE_WAY_S = 0.06
"""A request that is sent at the last moment arrives a little later, on a busy machine."""
_SLACK_S = 0.5
"""How much later than its limit a step may end on a busy machine; it is told apart from hanging, no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A cell in one line, and all that is wrong with it."""

    cell: Cell
    said: str
    problems: tuple[str, ...]
    added_ms: float = 0.0
    """What the failures have added: the step's time without that of the call that was answered."""


def run(cell: Cell, stage: Stage) -> Verdict:
    """Run a cell and judge it."""
    try:
        evidence = observe(cell, stage)
    except Exception as error:  # noqa: BLE001 - one cell that cannot be run does not keep the others from it
        return Verdict(cell=cell, said="error", problems=(f"could not be run: {type(error).__name__}: {error}",))
    problems = tuple(problem for check in _CHECKS for problem in check(evidence, stage))
    return Verdict(cell=cell, said=_said(evidence), problems=problems, added_ms=1000 * _added_s(evidence))


def _added_s(evidence: Evidence) -> float:
    outcome = evidence.answer.outcome
    if outcome is None:
        return evidence.took_s
    return outcome.latency_s - next(a.latency_s for a in outcome.attempts if a.status == "ok")


def _said(evidence: Evidence) -> str:
    error, count = evidence.answer.error, len(evidence.attempts)
    if evidence.answer.outcome is not None:
        served = "1st" if evidence.answer.outcome.model == FIRST else "2nd"
        return f"{served} {count}"
    names = {"AllAttemptsFailedError": "failed", "StreamBroken": "broken", "BudgetExceededError": "stopped"}
    ended = type(error).__name__
    return f"{names.get(ended, ended)} {count}"


# --- the answer -----------------------------------------------------------------------------------------------------


def _answer(evidence: Evidence, stage: Stage) -> Iterator[str]:
    """The right answer of one model, or the right failure."""
    cell, error = evidence.cell, evidence.answer.error
    match cell.situation:
        case "cancelled" | "cancelled_in_pause":
            wanted: type[BaseException] = asyncio.CancelledError if cell.driver == "async" else KeyboardInterrupt
            if type(error) is not wanted:
                yield f"ended with {error!r:.200} after it was cancelled"
        case "deadline" | "step_timeout":
            yield from _out_of_time(evidence)
        case "breakers_open":
            yield from _right(
                evidence, stage, FIRST if evidence.requests[:1] and _served(evidence) == FIRST else SECOND
            )
            if not evidence.attempts or not evidence.attempts[0].forced:
                yield "the least bad endpoint was not called although nothing better was left"
        case "both_fail" | "first_fails" | "long_pause":
            yield from _fate(evidence, stage)


def _fate(evidence: Evidence, stage: Stage) -> Iterator[str]:
    cell, error = evidence.cell, evidence.answer.error
    for fate in _fates(cell):
        if fate is Fate.BROKEN:
            yield from _broken(evidence, stage)
        elif fate in (Fate.STANDS, Fate.CUT):
            yield from _right(evidence, stage, FIRST, cut=fate is Fate.CUT)
        elif cell.situation == "both_fail":
            if not isinstance(error, AllAttemptsFailedError):
                yield f"both models failed, and it ended with {error!r:.200}"
            elif error.attempts != tuple(evidence.attempts) or len(error.exceptions) != len(evidence.attempts):
                yield f"the error tells of {len(error.attempts)} of {len(evidence.attempts)} attempts"
        else:
            yield from _right(evidence, stage, SECOND)
        return  # alternatives differ in attempts only


def _right(evidence: Evidence, stage: Stage, model: str, *, cut: bool = False) -> Iterator[str]:
    answer, truth = evidence.answer, stage.truths[model, evidence.cell.mode]
    if answer.error is not None or answer.said is None or answer.outcome is None:
        yield f"lost: {model!r} is well, and the step ended with {answer.error!r:.200}"
        return
    said = answer.said
    if said.models != {model}:
        yield f"the answer says it is of {sorted(said.models)}, not of {model!r} alone"
    if cut:
        if not (said.text and truth.text.startswith(said.text) and said.finish_reason == "length"):
            yield "a truncated answer is not the beginning of the right one with the finish reason 'length'"
    elif said.content != truth.content:
        yield f"wrong answer: not what {model!r} says"
    if _served(evidence) != model:
        yield f"the outcome names {_served(evidence)!r}"


def _served(evidence: Evidence) -> str | None:
    return None if evidence.answer.outcome is None else evidence.answer.outcome.model


def _broken(evidence: Evidence, stage: Stage) -> Iterator[str]:
    answer, truth = evidence.answer, stage.truths[FIRST, "stream"]
    if not isinstance(answer.error, StreamBroken):
        yield f"a stream that broke after its first word ended with {answer.error!r:.200}"
        return
    partial = answer.error.partial.text
    if answer.said is None or answer.said.text != partial:
        yield "the partial answer is not what had been handed on"
    if not partial or partial == truth.text or not truth.text.startswith(partial):
        yield "the partial answer is not a beginning of what the first model says"


def _out_of_time(evidence: Evidence) -> Iterator[str]:
    cell, error = evidence.cell, evidence.answer.error
    wanted: tuple[type[Exception], ...] = (AllAttemptsFailedError,)
    if Fate.BROKEN in fates(cell.fault, cell.mode, cell.backend):
        wanted = (StreamBroken,)
    elif cell.situation == "deadline":  # where no time is left for another pause, it ends before the deadline
        wanted = (BudgetExceededError,) if cell.fault in HANGING else (BudgetExceededError, AllAttemptsFailedError)
    if not isinstance(error, wanted):
        yield f"the time ran out, and it ended with {error!r:.200}"
    if isinstance(error, BudgetExceededError) and error.limit != "deadline":
        yield f"the deadline passed, and the error speaks of {error.limit!r}"
    if evidence.took_s > LIMIT_S + _SLACK_S:
        yield f"took {evidence.took_s:.2f} s with a limit of {LIMIT_S:g} s"
    for record in evidence.requests:
        late_s = record.at - evidence.began_at - LIMIT_S
        if late_s > _ON_THE_WAY_S:
            yield f"a request to {record.model!r} arrived {late_s:.3f} s after the end"


# --- requests -------------------------------------------------------------------------------------------------------


def _fates(cell: Cell) -> tuple[Fate, ...]:
    return (Fate.NEXT,) if cell.situation == "long_pause" else fates(cell.fault, cell.mode, cell.backend)


def _requests(evidence: Evidence, _stage: Stage) -> Iterator[str]:
    """Whom the requests went to, how often and when."""
    cell, models = evidence.cell, [record.model for record in evidence.requests]
    if cell.situation.startswith("cancelled"):
        if evidence.late_requests:
            yield f"{evidence.late_requests} requests arrived after the cancellation"
        if models != [FIRST]:
            yield f"was cancelled in its first call, and the requests went to {models}"
        return
    running_out = cell.situation in ("deadline", "step_timeout")
    # A call that is given a millisecond ends before it has reached anybody.
    if len(models) > len(evidence.attempts) or (len(models) < len(evidence.attempts) and not running_out):
        yield f"{len(models)} requests arrived, and {len(evidence.attempts)} attempts are booked"
    if running_out or cell.situation == "breakers_open":
        return
    paths = _ALL_FAIL if cell.situation == "both_fail" else _PASSES
    wanted = [paths[fate] for fate in _fates(cell)]
    if models not in wanted:
        yield f"the requests went to {models}; wanted: {' or '.join(map(str, wanted))}"
    if len({record.prompt_digest for record in evidence.requests}) > 1:
        yield "the requests do not ask the same"
    if cell.fault in LIMITS and cell.situation != "long_pause":
        yield from _pauses(evidence)


def _pauses(evidence: Evidence) -> Iterator[str]:
    """Retry-After is a floor: an HTTP date has whole seconds, so it asks for more."""
    for one, two in zip(evidence.requests, evidence.requests[1:], strict=False):
        if one.model != two.model:
            continue
        until = one.at + RETRY_AFTER_S
        if evidence.cell.fault == "rate_limit_date":
            until = math.ceil(until)
        if two.at < until - 0.001:
            yield f"was asked to wait, and came back {until - two.at:.3f} s too early"


# --- what is left behind --------------------------------------------------------------------------------------------


def _money(evidence: Evidence, _stage: Stage) -> Iterator[str]:
    spent, held = evidence.used_nano_usd
    if held:
        yield f"{held} nano-dollars are still reserved"
    if any(attempt.cost_usd is None for attempt in evidence.attempts):
        yield "an attempt has no price"
    booked = sum(nano_usd(attempt.cost_usd or 0.0) for attempt in evidence.attempts)
    if spent != booked:
        yield f"the budget has spent {spent} nano-dollars, the attempts {booked}"


def _spans(evidence: Evidence, _stage: Stage) -> Iterator[str]:
    if evidence.spans.open:
        yield f"spans that were not ended: {sorted(evidence.spans.open.values())}"
    in_order = sorted(evidence.attempts, key=lambda attempt: attempt.index)
    visits = [model for model, _ in groupby(in_order, key=lambda attempt: attempt.endpoint_id)]
    routes, chats = len(evidence.spans.named("route")), len(evidence.spans.named("chat"))
    if routes != 1:
        yield f"{routes} route spans, not 1"
    if chats != len(visits):
        yield f"{chats} chat spans for {len(visits)} visits"


def _sockets(evidence: Evidence, _stage: Stage) -> Iterator[str]:
    cell = evidence.cell
    called = len({record.model for record in evidence.requests} | {attempt.model for attempt in evidence.prior})
    if evidence.idle_before_close > called:
        yield f"{evidence.idle_before_close} connections to {called} models are open after the step"
    kept = evidence.idle_before_close if (cell.backend, cell.driver) == ("litellm", "sync") else 0
    if evidence.open_after_close > kept:
        yield f"{evidence.open_after_close} connections are open after the router was closed"
    if unfinished := [record.index for record in evidence.requests if not record.done]:
        yield f"the server still answers the requests {unfinished}: nobody has hung up"


def _in_flight(evidence: Evidence, _stage: Stage) -> Iterator[str]:
    for state in evidence.health:
        if state.in_flight:
            yield f"{state.in_flight} calls of {state.id!r} are in flight for ever"


def _statuses(evidence: Evidence, _stage: Stage) -> Iterator[str]:
    """How attempts are booked."""
    statuses = [attempt.status for attempt in evidence.attempts]
    situation = evidence.cell.situation
    if situation == "cancelled" and statuses != ["cancelled"]:
        yield f"the cancelled call is booked as {statuses}"
    if situation == "cancelled_in_pause" and statuses != ["failed"]:
        yield f"the call before the pause is booked as {statuses}"
    if evidence.answer.outcome is not None and statuses.count("ok") != 1:
        yield f"an answered step has the attempts {statuses}"


_CHECKS: tuple[Callable[[Evidence, Stage], Iterator[str]], ...] = (
    _answer,
    _requests,
    _statuses,
    _money,
    _spans,
    _sockets,
    _in_flight,
)
