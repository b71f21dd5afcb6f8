"""A plan `agree`: models propose answers beside one another; if they agree it is taken, else the last one is asked."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from taskrouter.errors import ModelCallError, StreamBroken
from taskrouter.execution.account import OpenAttempt
from taskrouter.execution.answers import canonical
from taskrouter.execution.commands import Abandoned, Answered, Call, Command, Emit, Event, Gather
from taskrouter.execution.course import Course
from taskrouter.execution.judging import gather_call, whole_call
from taskrouter.execution.race import Race
from taskrouter.outcome import AttemptStatus, Check, Proposal, ResponseView
from taskrouter.ports import Admission, Refusal

_QUORUM = 2
"""Fewer answers cannot agree."""


@dataclass(slots=True)
class _Proposed:
    """A proposer that was asked."""

    model: str
    index: int
    """The attempt's."""
    status: AttemptStatus = "cancelled"
    """Until it is known."""
    answer: Answered | None = None
    """Where it has passed the gates."""
    comes_to: str | None = None
    """Its canonical answer; None: it agrees with nothing."""


class Agreement:
    """See `plans.Several`.

    A proposer that fails, or whose answer does not pass the gates, does not take part in the agreement; nor does its
    failure say anything against the models that follow. It is called once: no retry, no other deployment.
    """

    def __init__(self, course: Course, *, streamed: bool) -> None:
        self._course, self._streamed = course, streamed
        *proposers, self._last = course.decision.plan.models
        self._proposers = [model for model in dict.fromkeys(proposers) if model != self._last]
        self._asked: list[_Proposed] = []
        self._check: Check = "none"
        course.ask_first(self._last)

    def begin(self) -> Generator[Command, Event, Answered | None]:
        """Ask the proposers; return the answer on which they agree."""
        paid = yield from self._paid()
        if not paid:
            return None
        self._course.account.roles = {self._last: "escalation"}
        taken = yield from self._race(paid)
        for proposed in self._asked:
            if proposed.status != "cancelled" or self._answers():
                self._course.turns.drop(proposed.model)  # nothing better is to be expected of it
        if taken is None:
            return None
        return (yield from self._handed_on(taken))

    def last_resort(self) -> Generator[Command, Event, Answered | None]:
        """Return the first proposal that has passed the gates: it is better than an error."""
        held = next(iter(self._answers()), None)
        return (yield from self._handed_on(held)) if held is not None else None

    def check(self) -> Check:
        """Return whether the proposers agreed."""
        return self._check

    def proposals(self) -> tuple[Proposal, ...]:
        """Return what the proposers came to, beside the answer that was taken."""
        taken = self._course.account.view
        if not self._asked or taken is None:
            return ()
        comes_to = self._comes_to(taken)
        return tuple(Proposal(model=p.model, status=p.status, same=_same(p.comes_to, comes_to)) for p in self._asked)

    # --- who can be asked ---------------------------------------------------------------------------------------

    def _paid(self) -> Generator[Command, Event, list[tuple[Admission, object]]]:
        """Return leave for the proposers, and the money; nothing where too few can be asked, or one cannot be paid."""
        course, paid, enough = self._course, list[tuple[Admission, object]](), False
        try:
            if not self._is_worth_while():
                return []
            for model in self._proposers:
                admission = course.turns.at_once(model, course.limits.now_s)
                if admission is None:
                    continue
                reservation = yield from course.reserve(admission, waits=False)
                if isinstance(reservation, Refusal):
                    return []
                paid.append((admission, reservation))
            enough = len(paid) >= _QUORUM and self._is_worth_while()  # paying may have taken time
            return paid if enough else []
        finally:
            if not enough:
                for admission, reservation in paid:
                    course.give_back(admission, reservation)

    def _is_worth_while(self) -> bool:
        """Tell whether there are calls and time left for two rounds."""
        course, proposers = self._course, self._proposers
        if len(proposers) < _QUORUM or len(proposers) >= course.settings.max_attempts or not course.limits.time_left():
            return False
        return course.limits.leaves(max(map(course.usual_s, proposers)) + course.usual_s(self._last))

    # --- asking -------------------------------------------------------------------------------------------------

    def _race(self, paid: list[tuple[Admission, object]]) -> Generator[Command, Event, _Proposed | None]:
        race = Race(self._course)
        try:
            yield from self._start(race, paid)
            while race and self._may_agree(len(race)):
                event = yield from race.event()
                assert event is not None, race  # noqa: S101 - it waits until a call ends
                proposed = next(p for p in self._asked if p.index == event.index)
                self._take_in(proposed, race.judged(event))
                if proposed.answer is not None and proposed.answer.view.shown:
                    yield from race.cancel()
                    return proposed  # no other answer may take its place
            yield from race.cancel()
        except (Abandoned, GeneratorExit) as gone:
            self._course.gone_at_s(gone)
            raise
        finally:
            race.give_up()
        agreed = self._may_agree(0)
        self._check = "agreed" if agreed else "disagreed"
        return self._answers()[0] if agreed else None

    def _start(self, race: Race, paid: list[tuple[Admission, object]]) -> Generator[Command, Event, None]:
        course = self._course
        try:
            while paid:
                admission, reservation = paid.pop(0)
                open_ = course.open(course.account.visit(admission, "propose"), admission, reservation)
                self._asked.append(_Proposed(open_.model, open_.index))
                call = self._call(open_)
                ends_at_s = self._latest_s(open_)
                if isinstance(call, Call):
                    ends_at_s = min(ends_at_s, open_.started_s + call.timeout_s)
                yield from race.enter(open_, call, ends_at_s)
        finally:
            for admission, reservation in paid:
                course.give_back(admission, reservation)

    def _call(self, open_: OpenAttempt) -> Call | Gather:
        return gather_call(self._course, open_) if self._streamed else whole_call(self._course, open_)

    def _latest_s(self, open_: OpenAttempt) -> float:
        """Return when a proposal must be there, so that the last model has its time."""
        left_s = self._course.limits.left_s()
        return math.inf if left_s is None else open_.started_s + left_s - self._course.usual_s(self._last)

    def _take_in(self, proposed: _Proposed, result: Answered | ModelCallError) -> None:
        if isinstance(result, StreamBroken):
            raise result  # its text has been shown
        if isinstance(result, ModelCallError):
            proposed.status = "failed"
            return
        proposed.status, proposed.answer, proposed.comes_to = "ok", result, self._comes_to(result.view)

    def _may_agree(self, running: int) -> bool:
        """Tell whether all that have answered agree, and enough have or still may."""
        answers = self._answers()
        alike = len({proposed.comes_to for proposed in answers}) <= 1
        return alike and None not in (p.comes_to for p in answers) and len(answers) + running >= _QUORUM

    def _comes_to(self, view: ResponseView) -> str | None:
        course = self._course
        return None if course.gate.is_refusal(view) else canonical(view, course.step, course.readers)

    # --- what was proposed --------------------------------------------------------------------------------------

    def _answers(self) -> list[_Proposed]:
        return [proposed for proposed in self._asked if proposed.answer is not None]

    def _handed_on(self, proposed: _Proposed) -> Generator[Command, Event, Answered]:
        account, answer = self._course.account, proposed.answer
        assert answer is not None, proposed  # noqa: S101 - nothing else is taken
        account.take(next(a for a in account.attempts if a.index == proposed.index), answer.view)
        if not self._streamed:
            return answer
        for native in answer.native:
            self._course.limits.now_s = (yield Emit(native)).at_s
        return Answered(None, answer.view, answer.at_s)


def _same(one: str | None, other: str | None) -> bool | None:
    return None if one is None or other is None else one == other
