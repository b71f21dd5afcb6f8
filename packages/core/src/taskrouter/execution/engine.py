"""The sans-I/O engine: a state machine that says what to do next and is told what happened.

It is written as a generator, after the manner of h11: it yields commands (`commands.py`), a driver carries them out and
sends back events. So every rule of retry, fallback, budgets and streaming stands here once, for sync and async, and
every order of failures can be tested without a clock or a network.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Generator, Mapping
from itertools import count
from typing import Any, TypeAlias

from taskrouter.catalog.card import ModelCard
from taskrouter.config import ExecutionConfig
from taskrouter.decision import Decision
from taskrouter.errors import ConfigurationError, ModelCallError, StreamBroken, error_kind
from taskrouter.execution.access import OpenAccess
from taskrouter.execution.account import OpenAttempt, Visit
from taskrouter.execution.commands import Abandoned, Answered, Asked, Command, Event, Wait
from taskrouter.execution.course import Course
from taskrouter.execution.gates import Gate
from taskrouter.execution.plans import Several, several
from taskrouter.execution.reactions import Reaction, backoff_s, reaction
from taskrouter.execution.reading import stream
from taskrouter.execution.whole import whole
from taskrouter.outcome import Ending, Outcome, OutcomeStatus, Proposal
from taskrouter.ports import Access, Admission, AnswerReader, Endpoint, Refusal, StepObserver, Wallet
from taskrouter.step import Step

Steps: TypeAlias = Generator[Command, Event, "Outcome[Any]"]


class Engine:
    """Carries out one decision.

    Args:
        step: the step to answer.
        decision: its plan and fallbacks.
        cards: the pool by id, for prices and windows.
        settings: time limits and retries.
        observer: told of every visit and attempt.
        rng: source of backoff jitter.
        started_s: the driver's clock at the start.
        expects_finish: whether a stream that ends without a finish reason was cut off, or the ids of the models of
            which that is so. True for providers' own protocols; adapters whose framework may drop the reason leave it
            off.
        unlimited: whether nobody has asked for a limit to the answer's length, as far as the router can know.
        access: knows which endpoints can be called; without one all can.
        wallet: the budgets that the step draws on; without one there is no limit.
        gate: judges whole answers, and streams that are held back to their end.
        readers: read what an answer comes to where answers are compared, before our own; by name.
    """

    def __init__(  # noqa: PLR0913 - all of them are collaborators
        self,
        *,
        step: Step,
        decision: Decision,
        cards: Mapping[str, ModelCard],
        settings: ExecutionConfig,
        observer: StepObserver,
        rng: random.Random,
        started_s: float,
        expects_finish: bool | Collection[str] = False,
        unlimited: bool = False,
        access: Access | None = None,
        wallet: Wallet | None = None,
        gate: Gate | None = None,
        readers: Mapping[str, AnswerReader] | None = None,
    ) -> None:
        self._course = Course(
            step=step,
            decision=decision,
            cards=cards,
            settings=settings,
            observer=observer,
            started_s=started_s,
            expects_finish=expects_finish,
            unlimited=unlimited,
            access=access or OpenAccess(),
            wallet=wallet,
            gate=gate or Gate(),
            readers=readers or {},
        )
        self._rng = rng
        self._proposals: tuple[Proposal, ...] = ()

    def begin(self, at_s: float) -> None:
        """Start the clock anew: between a stream's making and its first reading any time may pass."""
        self._course.limits.begin(at_s)

    def answer(self) -> Steps:
        """Get one whole answer.

        Raises:
            AllAttemptsFailedError: no model gave one.
            BudgetExceededError: the next call could exceed a budget, or the deadline has passed; it was not made.
            LocalFailure: the failure is on our side; trying other models would not help.
            ConfigurationError: what a call needs is missing, or a validator raised and that is to be heard of.
        """
        return self._carry_out(whole, streamed=False)

    def stream(self) -> Steps:
        """Get one streamed answer: a model is left only as long as nothing meaningful has arrived from it.

        Raises:
            StreamBroken: the stream stopped after that; it carries what had arrived.
            AllAttemptsFailedError, BudgetExceededError, LocalFailure, ConfigurationError: as for a whole answer.
        """
        return self._carry_out(stream, streamed=True)

    def _carry_out(self, ask: Callable[[Course, OpenAttempt], Asked], *, streamed: bool) -> Steps:
        """Make attempts, as `ask` makes a single one, until one is answered."""
        course = self._course
        account, turns = course.account, course.turns
        plan: Several | None = None
        status: OutcomeStatus = "exhausted"
        error_type: str | None = None
        try:
            plan = several(course, streamed=streamed)
            if plan is not None and (agreed := (yield from plan.begin())):
                status = "ok"
                return self._outcome(agreed, status, plan)
            failure: Exception | None = None
            while course.may_go_on() and (admission := turns.next(course.limits.now_s)):
                result = yield from self._visit(admission, ask)
                if isinstance(result, Answered):
                    status = "fallback" if any(a.role == "fallback" for a in account.attempts) else "ok"
                    return self._outcome(result, status, plan)
                if result is None:
                    turns.drop(admission.endpoint.model)
                    continue
                if reaction(result) is Reaction.RAISE:
                    # A key that is not set, an extra that is missing: it says itself what to change.
                    failure = result.__cause__ if isinstance(result.__cause__, ConfigurationError) else result
                    break
                turns.learn(admission.endpoint, result)
            if plan is not None and not isinstance(failure, StreamBroken) and (held := (yield from plan.last_resort())):
                status = "fallback"
                return self._outcome(held, status, plan)
            raise failure or course.exhausted()  # noqa: TRY301 - what is raised is also told to the observer
        except (Abandoned, GeneratorExit, KeyboardInterrupt):
            status = "cancelled"
            raise
        except Exception as error:  # whatever is raised to the caller is told to the observer, and goes on
            error_type = error_kind(error)
            raise
        finally:
            account.observer.step_ended(self._ending(status, plan, error_type))

    def _visit(
        self, admission: Admission, ask: Callable[[Course, OpenAttempt], Asked]
    ) -> Generator[Command, Event, Answered | ModelCallError | None]:
        """Call one endpoint until it answers or is left; None: no call of it could be paid."""
        course = self._course
        visit: Visit | None = None
        try:
            for retry in count():
                reservation = yield from course.reserve(admission)
                if isinstance(reservation, Refusal):
                    break
                visit = visit or course.account.visit(admission)
                result = yield from ask(course, course.open(visit, admission, reservation))
                if isinstance(result, Answered):
                    return result
                pause_s = self._pause_s(visit.endpoint, result, retry)
                if pause_s is None:
                    break
                course.paused_s += pause_s
                course.limits.now_s = (yield Wait(pause_s)).at_s
                again = course.turns.again(visit.endpoint, course.limits.now_s)
                if again is None:
                    break
                admission = again
            return None if visit is None else visit.error
        finally:
            if visit is not None:
                visit.end()

    def _pause_s(self, endpoint: Endpoint, error: ModelCallError, retry: int) -> float | None:
        """Return how long to wait before the same endpoint is called again, or None to leave it."""
        course = self._course
        settings, turns = course.settings, course.turns
        if retry >= settings.retries or reaction(error) is not Reaction.RETRY or not course.may_go_on():
            return None
        if turns.has_ready(endpoint.model, course.limits.now_s):
            return None
        longest_s = settings.max_retry_after_s
        if (error.retry_after_s or 0.0) > (longest_s if turns.others() else max(longest_s, settings.timeout_s)):
            return None
        pause_s = backoff_s(error, retry, settings, self._rng)
        return pause_s if course.limits.leaves(pause_s) else None

    def _ending(self, status: OutcomeStatus, plan: Several | None, error_type: str | None) -> Ending:
        course = self._course
        return Ending(
            status=status,
            attempts=course.account.in_order(),
            answered=course.account.answered,
            check="none" if plan is None else plan.check(),
            proposals=self._proposals,
            latency_s=course.limits.elapsed_s(),
            error_type=error_type,
        )

    def _outcome(self, answered: Answered, status: OutcomeStatus, plan: Several | None) -> Outcome[Any]:
        course = self._course
        account, attempts = course.account, course.account.in_order()
        assert account.answered is not None, attempts  # noqa: S101 - it is booked before it is returned
        self._proposals = () if plan is None else plan.proposals()
        return Outcome(
            response=answered.native,
            view=answered.view,
            decision=course.decision,
            attempts=attempts,
            status=status,
            latency_s=course.limits.elapsed_s(),
            taken=account.answered.index - 1,
            check="none" if plan is None else plan.check(),
            proposals=self._proposals,
        )
