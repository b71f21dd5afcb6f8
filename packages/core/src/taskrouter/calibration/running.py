"""Sends cases to models, several at once, until all are answered, the money is spent or somebody says stop."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from taskrouter.calibration.journal import UNPAID, Journal, Result, StoredAnswer, answer_key, grade_key
from taskrouter.config import ModelConfig
from taskrouter.decision import Plan
from taskrouter.errors import (
    AllAttemptsFailedError,
    BudgetExceededError,
    ConfigurationError,
    ExecutionError,
    ModelNotFound,
    NoEligibleModelError,
    RoutingError,
    Unauthenticated,
)
from taskrouter.grading import Case, Graders, Reply, Skip
from taskrouter.grading.kinds import JudgeKind, Own
from taskrouter.outcome import Attempt, sum_cost_usd, sum_usage
from taskrouter.step import Step
from taskrouter.trials import Bounds, Trials

REASON = "calibration"
_UNUSABLE = frozenset({"bad_answer", "empty_answer", "refused"})
"""Failures that are an answer's: the model has answered, and not in a way that could be used."""
_HOPELESS = (Unauthenticated, ModelNotFound)


class Pair(NamedTuple):
    """A case and the model that it is sent to."""

    case: Case
    model: str


@dataclass(slots=True)
class Run:
    """What came of a run."""

    results: dict[tuple[str, str], Result] = field(default_factory=dict, repr=False)
    """By id of the case and of the model; also those that were known before."""
    asked: int = 0
    """Answers that were paid in this run."""
    known: int = 0
    """Results that were there before."""
    regraded: int = 0
    """Answers that were there before, and were graded in this run."""
    undone: int = 0
    """Pairs that were not sent."""
    stopped: str | None = None
    """Why: `budget`, `interrupted`."""
    failed: dict[str, Counter[str]] = field(default_factory=dict)
    """By model: kinds of failed calls."""
    barred: dict[str, Counter[str]] = field(default_factory=dict)
    """By model: codes of why it may not take cases."""
    said: dict[str, str] = field(default_factory=dict)
    """By model: why it was not called any more."""
    cost_usd: float = 0.0
    """Of this run's calls, judges included, as far as prices are known."""
    unpriced: int = 0
    """Calls whose price is unknown."""


class Runner:
    """Answers and grades pairs.

    Args:
        trials: makes the calls.
        journal: has what is known, and keeps what comes.
        judge: id of the model that judges where a grader names none.
        concurrency: pairs at once.
        refresh: ask again what was answered before.
        stop: says that no further pair is to begin.
        told: is told after each pair.
    """

    def __init__(
        self,
        trials: Trials,
        journal: Journal,
        *,
        judge: str,
        concurrency: int,
        refresh: bool,
        stop: asyncio.Event,
        told: Callable[[Run], None],
    ) -> None:
        self._trials = trials
        self._journal = journal
        self._judge = judge
        self._concurrency = concurrency
        self._refresh = refresh
        self._stop = stop
        self._told = told
        self._run = Run()
        self._fresh: set[str] = set()
        self._graders = Graders(ask=self._ask)

    @property
    def run(self) -> Run:
        """What has come so far."""
        return self._run

    def check(self, cases: Sequence[Case]) -> None:
        """Build all graders.

        Raises:
            ConfigurationError: one cannot be built, or names a judge that is not in the pool.
        """
        self._graders.check(tuple(cases))
        for case in cases:
            if isinstance(case.grader, JudgeKind) and (case.grader.model or self._judge) not in self._trials.models:
                raise ConfigurationError(
                    f"case {case.id!r}: the judge {case.grader.model or self._judge!r} is not in the pool"
                )

    async def answer(self, pairs: Sequence[Pair]) -> None:
        """Answer and grade all pairs, as far as the money goes."""
        waiting = deque(pairs)
        await self._side_by_side(waiting)
        while waiting and not self._stop.is_set():  # what was set aside for calls that are over may be left
            if not await self._done(waiting[0]):
                break
            waiting.popleft()
        self._run.undone = len(waiting)
        if waiting:
            self._run.stopped = "interrupted" if self._stop.is_set() else "budget"

    async def _side_by_side(self, waiting: deque[Pair]) -> None:
        refused = False

        async def work() -> None:
            nonlocal refused
            while waiting and not refused and not self._stop.is_set():
                pair = waiting.popleft()
                if not await self._done(pair):
                    refused = True
                    waiting.appendleft(pair)

        tasks = [asyncio.ensure_future(work()) for _ in range(min(self._concurrency, len(waiting)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _done(self, pair: Pair) -> bool:
        """Answer and grade one pair; false: there is no money for it."""
        try:
            result = await self._result(pair)
        except BudgetExceededError:
            return False
        if result is not None:
            self._run.results[pair.case.id, pair.model] = result
            if result.skip == UNPAID:
                return False
        self._told(self._run)
        return True

    async def _result(self, pair: Pair) -> Result | None:
        model = self._trials.models[pair.model]
        key = answer_key(pair.case, model)
        graded_by = grade_key(pair.case, key, self._judge_of(pair.case))
        if not self._refresh or key in self._fresh:
            if (known := self._journal.graded(graded_by)) is not None and known.key == key:
                self._run.known += 1
                return known
            if (answered := self._journal.answered(key)) is not None:
                self._run.regraded += 1
                return await self._graded(pair.case, answered.model_copy(update={"grade_key": graded_by}))
        if pair.model in self._run.said:
            self._fail(pair.model, "given_up")
            return None
        answered = await self._asked(pair, key, graded_by)
        return None if answered is None else await self._graded(pair.case, answered)

    # --- asking -------------------------------------------------------------------------------------------------

    async def _asked(self, pair: Pair, key: str, graded_by: str) -> Result | None:
        result = Result(key=key, grade_key=graded_by, case=pair.case.id, model=pair.model, at_s=time.time())
        try:
            decision = self._trials.decide(pair.case.step, Plan(models=(pair.model,)), reason=REASON)
            outcome = await self._trials.arun(pair.case.step, decision)
        except NoEligibleModelError as error:
            self._run.barred.setdefault(pair.model, Counter())[error.rejections[0].code] += 1
            return None
        except BudgetExceededError:
            raise
        except AllAttemptsFailedError as error:
            return self._unanswered(result, error)
        except (ConfigurationError, ExecutionError, RoutingError) as error:
            if isinstance(error, ConfigurationError):
                self._run.said[pair.model] = str(error)
            self._fail(pair.model, getattr(error, "kind", "configuration"))
            return None
        self._run.asked += 1
        self._fresh.add(key)
        usage = outcome.usage
        return result.model_copy(
            update={
                "answer": StoredAnswer.of(outcome.view),
                "comes_to": self._trials.comes_to(pair.case.step, outcome.view),
                "cost_usd": self._paid(outcome.attempts),
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "latency_s": outcome.answered.latency_s,
            }
        )

    def _unanswered(self, result: Result, error: AllAttemptsFailedError) -> Result | None:
        """An answer that could not be used counts as wrong; a call without an answer says nothing of the model."""
        cost_usd = self._paid(error.attempts)
        last = error.exceptions[-1]
        if getattr(last, "kind", None) not in _UNUSABLE:
            if isinstance(last, _HOPELESS):
                self._run.said[result.model] = str(last)
            self._fail(result.model, getattr(last, "kind", "error"))
            return None
        self._run.asked += 1
        self._fresh.add(result.key)
        usage = sum_usage(error.attempts)
        wrong = result.model_copy(
            update={
                "valid": False,
                "score": 0.0,
                "cost_usd": cost_usd,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "latency_s": error.attempts[-1].latency_s,
            }
        )
        self._journal.add(wrong)
        return wrong

    def _fail(self, model: str, kind: str) -> None:
        self._run.failed.setdefault(model, Counter())[kind] += 1

    def _paid(self, attempts: tuple[Attempt, ...]) -> float | None:
        cost_usd = sum_cost_usd(attempts)
        if cost_usd is None:
            self._run.unpriced += 1
        else:
            self._run.cost_usd += cost_usd
        return cost_usd

    # --- grading ------------------------------------------------------------------------------------------------

    async def _graded(self, case: Case, result: Result) -> Result:
        if result.answer is None:
            return result
        if isinstance(case.grader, JudgeKind | Own):  # it takes a while, and the answer is paid for
            self._journal.add(result)
        on_behalf = _OnBehalf(self._trials.bounds(case.step), case.step)
        token = _JUDGED.set(on_behalf)
        try:
            grade = await self._graders.agrade(case, result.answer.view)
        finally:
            _JUDGED.reset(token)
        reason = (on_behalf.problem or grade.reason) if isinstance(grade, Skip) else None
        graded = result.model_copy(
            update={
                "score": None if isinstance(grade, Skip) else grade.score,
                "skip": reason,
                "grading_usd": grade.cost_usd,
            }
        )
        self._journal.add(graded)
        return graded

    def _judge_of(self, case: Case) -> ModelConfig | None:
        if not isinstance(case.grader, JudgeKind):
            return None
        return self._trials.models.get(case.grader.model or self._judge)

    async def _ask(self, model: str | None, step: Step) -> Reply:
        """Ask a judge: within everything that holds for the case whose answers it is shown."""
        on_behalf = _JUDGED.get()
        question = Step(messages=step.messages, context=on_behalf.step.context, task_type=step.task_type)
        plan = Plan(models=(model or self._judge,))
        try:
            decision = self._trials.decide(question, plan, reason="judge", within=on_behalf.bounds)
            outcome = await self._trials.arun(question, decision)
        except BudgetExceededError:
            on_behalf.problem = UNPAID
            raise
        except NoEligibleModelError:
            on_behalf.problem = "judge_not_allowed"
            raise
        except AllAttemptsFailedError as error:
            self._paid(error.attempts)
            raise
        return Reply(text=outcome.view.text, cost_usd=self._paid(outcome.attempts))


@dataclass(slots=True)
class _OnBehalf:
    """For which case a judge is asked."""

    bounds: Bounds
    step: Step
    problem: str | None = None
    """Why the judge was not asked."""


_JUDGED: ContextVar[_OnBehalf] = ContextVar("taskrouter_judged")
