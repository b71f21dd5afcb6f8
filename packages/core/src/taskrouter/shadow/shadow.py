"""`Shadow`: sends a share of the answered steps to another plan too, compares the answers, and learns from that.

It works in a thread of its own, behind the user's call: what it is handed waits in a queue, and what does not fit there
is dropped. It has a budget of its own. What holds for the step (rules, regions, tags, the models that its caller
allows) holds for the other plan and for the judge.
"""

from __future__ import annotations

import copy
import logging
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from taskrouter.budget import Purse
from taskrouter.config import ShadowConfig
from taskrouter.decision import Plan
from taskrouter.errors import (
    AllAttemptsFailedError,
    BudgetExceededError,
    ConfigurationError,
    NoEligibleModelError,
    TaskRouterError,
    raised_at,
)
from taskrouter.grading import Reply
from taskrouter.learning import Identity, Labelled, Lesson, Scored
from taskrouter.learning.evidence import WEIGHTS
from taskrouter.outcome import Attempt, Outcome, ResponseView, sum_cost_usd
from taskrouter.shadow.choosing import choose, harmless, repeatable
from taskrouter.shadow.comparing import Compare, Compared, comparer
from taskrouter.step import Step
from taskrouter.trials import Bounds, Caller, Trials
from taskrouter.worker import Worker

logger = logging.getLogger("taskrouter.shadow")

_UNUSABLE = frozenset({"bad_answer", "empty_answer", "refused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowStatus:
    """How shadows are doing, in this process."""

    sampled: int
    """Answered steps that were chosen to be compared."""
    dropped: int
    """Of these, steps for which there was no room."""
    labelled: int
    """Pairs of plans that were learned from."""
    without: Mapping[str, int]
    """Why others gave no label, by code."""
    waiting: int
    """Steps in the queue or under way."""


class _Job(NamedTuple):
    step: Step
    outcome: Outcome[Any]
    caller: Caller | None


class _Tried(NamedTuple):
    """A plan and its answer to the step."""

    plan: Plan
    view: ResponseView | None
    """None where it gave none that could be used."""
    cost_usd: float | None


@dataclass(slots=True)
class _Counts:
    sampled: int = 0
    dropped: int = 0
    labelled: int = 0
    without: Counter[str] = field(default_factory=Counter)


class Shadow:
    """See the module.

    Args:
        config: the section `[shadow]`.
        trials: makes what sends steps to plans.
        purse: returns the account of this day.
        sidelined: returns the models that are out for the moment.
        seed: of the sample and of choices between equals.

    Raises:
        ConfigurationError: a model that is named is not in the pool, or the grader cannot be used here.
    """

    def __init__(
        self,
        config: ShadowConfig,
        trials: Callable[[], Trials],
        *,
        purse: Callable[[], Purse],
        sidelined: Callable[[], Collection[str]],
        seed: int | None,
    ) -> None:
        self._config = config
        self._trials = trials
        self._purse = purse
        self._sidelined = sidelined
        # Two, so that which steps are taken does not hang on how quickly the thread works.
        self._sampling, self._choosing = random.Random(seed), random.Random(seed)
        self._counts = _Counts()
        self._counting = threading.Lock()
        self._pid = os.getpid()
        self._worker: Worker[_Job] = Worker(self._work, queued=config.queued, name="taskrouter-shadow")
        pool = trials()
        self._compare: Compare = comparer(config, pool.comes_to, pool.models)
        for model in () if config.plans == "auto" else config.plans:
            if model not in pool.models:
                raise ConfigurationError(
                    f"shadow.plans: {model!r} is not in the pool, which has {', '.join(pool.models)}"
                )

    @property
    def status(self) -> ShadowStatus:
        """How shadows are doing."""
        counts = self._counts
        return ShadowStatus(
            sampled=counts.sampled,
            dropped=counts.dropped,
            labelled=counts.labelled,
            without=dict(counts.without),
            waiting=self._worker.waiting,
        )

    def consider(self, step: Step, outcome: Outcome[Any], caller: Caller | None = None) -> None:
        """Take an answered step into the sample, or leave it. Takes microseconds and never raises."""
        try:
            if self._worker.stopped or self._sampling.random() >= self._config.share or not repeatable(step):
                return
            self._take(_Job(_snapshot(step), outcome, caller))
        except Exception as error:  # noqa: BLE001 - a shadow may fail; the user's call does not
            logger.warning("a step could not be taken for a shadow: %s", raised_at(error))

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do; tell whether it came to that within the time."""
        return self._worker.wait(timeout_s)

    def close(self) -> None:
        """Take nothing more, and let what is under way end if it does so soon."""
        self._worker.close()

    def _take(self, job: _Job) -> None:
        if self._pid != os.getpid():  # what the parent of a fork has counted is its own
            self._pid, self._counts, self._counting = os.getpid(), _Counts(), threading.Lock()
        taken = self._worker.offer(job)
        with self._counting:
            self._counts.sampled += 1
            self._counts.dropped += not taken

    def _work(self, job: _Job) -> None:
        try:
            self._shadow(job)
        except Exception as error:  # noqa: BLE001 - whatever happens here is no concern of the user's calls
            known = isinstance(error, TaskRouterError)
            self._without(type(error).__name__)
            logger.log(logging.DEBUG if known else logging.WARNING, "a shadow failed: %s", raised_at(error))

    # --- one step -----------------------------------------------------------------------------------------------

    def _shadow(self, job: _Job) -> None:
        trials = self._trials()
        step, decision = job.step, job.outcome.decision
        bounds = trials.bounds(step, decision=decision)
        identity = trials.identity(step)
        served = _served(job.outcome)
        found = {served.plan: served}
        if (base := _escalated(job.outcome)) is not None:
            found[base.plan] = base
        chosen = choose(
            decision,
            served.plan if base is None else base.plan,
            trials.book.learner,
            identity=identity.key,
            allowed=self._allowed(job, trials),
            rng=self._choosing,
        )
        for plan in chosen:
            if (tried := self._tried(job, plan, trials, bounds)) is not None:
                found[plan] = tried
        self._teach(job, found, identity, trials, bounds)

    def _allowed(self, job: _Job, trials: Trials) -> set[Plan]:
        named, sidelined = self._config.plans, self._sidelined()
        return {
            row.plan
            for row in job.outcome.decision.ranking
            if harmless(row.plan, trials.models, sidelined)
            and (named == "auto" or all(model in (*named, trials.incumbent) for model in row.plan.models))
        }

    def _tried(self, job: _Job, plan: Plan, trials: Trials, bounds: Bounds) -> _Tried | None:
        """Return a plan's answer; None: the call says nothing of it."""
        try:
            decision = trials.decide(job.step, plan, reason="shadow", within=bounds)
            outcome = trials.run(job.step, decision, purses=(self._purse(),), caller=job.caller)
        except NoEligibleModelError as error:
            self._without(error.rejections[0].code)
        except BudgetExceededError:
            self._without("budget")
        except AllAttemptsFailedError as error:
            kind = getattr(error.exceptions[-1], "kind", "error")
            if kind in _UNUSABLE:
                return _Tried(plan, None, sum_cost_usd(error.attempts))
            self._without(kind)
        else:
            return _Tried(plan, outcome.view, outcome.cost_usd)
        return None

    def _teach(
        self, job: _Job, found: Mapping[Plan, _Tried], identity: Identity, trials: Trials, bounds: Bounds
    ) -> None:
        base = found.get(Plan(models=(trials.incumbent,)))
        if base is None or base.view is None:
            self._without("no_incumbent")
            return
        lessons = []
        for tried in found.values():
            if tried is base:
                continue
            compared = self._compared(job.step, tried, base.view, trials, bounds)
            if isinstance(compared, str):
                self._without(compared)
                continue
            scores = {
                str(tried.plan): Scored(compared.own, tried.cost_usd),
                str(base.plan): Scored(compared.base, base.cost_usd),
            }
            weight = WEIGHTS.get(self._compare.source, 1.0)
            row = Labelled(identity=identity, scores=scores, weight=weight)
            lessons.append(Lesson(row, {str(plan): plan for plan in (tried.plan, base.plan)}))
        if lessons:
            said = {
                "shadow_of": job.outcome.decision_id,
                "propensity": self._config.share * job.outcome.decision.propensity,
            }
            trials.book.teach(lessons, source=self._compare.source, said=said)
            with self._counting:
                self._counts.labelled += len(lessons)

    def _compared(
        self, step: Step, tried: _Tried, base: ResponseView, trials: Trials, bounds: Bounds
    ) -> Compared | str:
        if tried.view is None:
            return Compared(0.0, 1.0)
        if tried.view is base:
            return Compared(1.0, 1.0)
        return self._compare(step, tried.view, base, self._ask(step, trials, bounds))

    def _ask(self, step: Step, trials: Trials, bounds: Bounds) -> Callable[[str | None, Step], Any]:
        async def ask(model: str | None, question: Step) -> Reply:
            asked = Step(messages=question.messages, context=step.context, task_type=question.task_type)
            plan = Plan(models=(model or trials.incumbent,))
            decision = trials.decide(asked, plan, reason="judge", within=bounds)
            outcome = trials.run(asked, decision, purses=(self._purse(),))
            return Reply(text=outcome.view.text, cost_usd=outcome.cost_usd)

        return ask

    def _without(self, code: str) -> None:
        with self._counting:
            self._counts.without[code] += 1


def _snapshot(step: Step) -> Step:
    """Return the step as it is now: an agent goes on writing into its list of messages."""
    payload = step.payload
    if isinstance(payload, Mapping):
        payload = {name: value for name, value in payload.items() if name not in ("stream", "stream_options")}
    return replace(
        step, messages=copy.deepcopy(list(step.messages)), tools=copy.deepcopy(list(step.tools)), payload=payload
    )


def _served(outcome: Outcome[Any]) -> _Tried:
    """Return what was served, as the plan that has given it: after a fallback that is another model alone."""
    plan = outcome.decision.plan
    if outcome.model in plan.models:
        return _Tried(plan, outcome.view, outcome.cost_usd)
    return _Tried(Plan(models=(outcome.model,)), outcome.view, _cost_of(outcome.model, outcome.attempts))


def _escalated(outcome: Outcome[Any]) -> _Tried | None:
    """Return the incumbent's own answer, where a plan of several models has taken it: then it need not be asked."""
    incumbent = outcome.decision.incumbent
    if outcome.model != incumbent or len(outcome.decision.plan.models) == 1:
        return None
    return _Tried(Plan(models=(incumbent,)), outcome.view, _cost_of(incumbent, outcome.attempts))


def _cost_of(model: str, attempts: Sequence[Attempt]) -> float | None:
    return sum_cost_usd(tuple(attempt for attempt in attempts if attempt.model == model))
