"""Sending steps to plans that nobody has chosen for them: what calibration and shadows are made of.

A trial is held to everything that holds for its step: rules, regions, tags, windows, prices. It is charged and traced
like any call; it teaches nothing by itself, no plugin hears of its outcome, and the ledger does not hold it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from taskrouter.budget import Purse
from taskrouter.config import ModelConfig
from taskrouter.decision import TRIAL, Decision, Plan
from taskrouter.errors import NoEligibleModelError
from taskrouter.execution import Engine, Gate, drive, drive_async
from taskrouter.execution.answers import canonical
from taskrouter.execution.dispatch import StepCalls
from taskrouter.learning import Identity, identify
from taskrouter.lessons import LessonBook
from taskrouter.outcome import Outcome, ResponseView
from taskrouter.planning import Planned
from taskrouter.policy import Demands, Effects, Eligibility
from taskrouter.ports import AnswerReader
from taskrouter.profile import Requirements, TaskProfile
from taskrouter.step import Step

_LONGEST_S = 600.0
"""How long a thread waits for another one's event loop, which may have been stopped."""


class Bounds(NamedTuple):
    """What holds for wherever the content of a step is sent, beside what a request of its own demands."""

    demands: Demands = Demands()
    max_cost_usd: float | None = None
    of: str | None = None
    """Id of the decision that was made for the step."""


class Prepare(Protocol):
    """Makes the engine of a decision."""

    def __call__(
        self, step: Step, decision: Decision | None, *, own: bool, purses: Sequence[Purse] | None
    ) -> tuple[Decision, Engine]:
        """Return the decision and its engine; `purses` are charged in place of those that hold for the step."""
        ...


class Caller(NamedTuple):
    """Calls models with a step in the caller's own way, where it may be called again."""

    call: Callable[[Any], Any]
    """Carries out a call; the engine's command in, a native answer or an awaitable of one out."""
    view: Callable[[str, Any], ResponseView]
    loop: asyncio.AbstractEventLoop | None = None
    """The event loop that the awaitables belong to; None: they are none."""


class Trials:
    """Carries out plans of a router's pool outside of its decisions.

    Args:
        models: the pool by id.
        incumbent: id of the model that losses are counted against.
        known: tells what a step is, and what the rules say of it.
        eligibility: which models can take it.
        plan: scores the models at some positions of the pool, for the decision's ranking.
        prepare: makes engines.
        calls: returns the ways to call models with a step.
        readers: read what an answer comes to, by name.
        gate: tells refusals.
        book: what trials teach is written there.
    """

    def __init__(  # noqa: PLR0913 - all of them are collaborators
        self,
        *,
        models: Mapping[str, ModelConfig],
        incumbent: str,
        known: Callable[[Step], tuple[TaskProfile, Effects]],
        eligibility: Eligibility,
        plan: Callable[[TaskProfile, tuple[int, ...]], Planned],
        prepare: Prepare,
        calls: Callable[[Step], StepCalls],
        readers: Mapping[str, AnswerReader],
        gate: Gate,
        book: LessonBook,
    ) -> None:
        self.models = models
        self.incumbent = incumbent
        self.book = book
        self._ids = tuple(models)
        self._of = known
        self._eligibility = eligibility
        self._plan = plan
        self._prepare = prepare
        self._calls = calls
        self._readers = readers
        self._gate = gate

    def identity(self, step: Step) -> Identity:
        """Return the identity that outcomes of the step are learned for."""
        return identify(step, self._of(step)[0])

    def bounds(self, step: Step, *, decision: Decision | None = None) -> Bounds:
        """Return what holds for wherever the step's content is sent.

        Args:
            step: the step.
            decision: what was decided for it; of it the models that its caller allowed, and its id.
        """
        _, effects = self._of(step)
        demands = replace(effects.demands, requirements=Requirements())
        if decision is None:
            return Bounds(demands, effects.max_cost_usd)
        allowed = demands if decision.use is None else demands.only(decision.use)
        return Bounds(allowed, effects.max_cost_usd, decision.id)

    def decide(self, step: Step, plan: Plan, *, reason: str, within: Bounds | None = None) -> Decision:
        """Return a decision for exactly that plan, without fallbacks.

        Args:
            step: the step.
            plan: the plan.
            reason: code of what it is made for.
            within: what holds for it beside its own rules, such as those of the step that it judges an answer of.

        Raises:
            NoEligibleModelError: one of the plan's models may not take the step.
        """
        started_s = time.perf_counter()
        profile, effects = self._of(step)
        demands = effects.demands if within is None else _both(effects.demands, within.demands)
        limit_usd = _least(effects.max_cost_usd, None if within is None else within.max_cost_usd)
        eligible, rejected = self._eligibility.check(profile, demands, max_cost_usd=limit_usd)
        if barred := [rejection for rejection in rejected if rejection.model in plan.models]:
            raise NoEligibleModelError(barred)
        wanted = tuple(position for position in eligible if self._ids[position] in plan.models)
        planned = self._plan(profile, wanted)
        return Decision(
            id=f"dec_{os.urandom(8).hex()}",
            context=step.context,
            plan=plan,
            profile=profile,
            policy=TRIAL,
            policy_version="",
            reason=reason,
            detail="tried out beside what was decided",
            incumbent=self.incumbent,
            fallbacks=(),
            rejected=rejected,
            regions=demands.regions,
            propensity=1.0,
            duration_s=time.perf_counter() - started_s,
            rule=effects.rule,
            of=None if within is None else within.of,
            board=planned.board,
        )

    def run(
        self,
        step: Step,
        decision: Decision,
        *,
        purses: Sequence[Purse] | None = None,
        caller: Caller | None = None,
    ) -> Outcome[Any]:
        """Get the answer of a trial.

        Args:
            step: the step.
            decision: what `decide` returned.
            purses: what is charged; None: the budgets that hold for the step.
            caller: makes the calls; None: the models' backends do.

        Raises:
            BudgetExceededError: a call could exceed a budget; it was not made.
            ExecutionError: no model of the plan answered.
        """
        _, engine = self._prepare(step, decision, own=caller is None, purses=purses)
        if caller is None:
            calls = self._calls(step)
            return drive(engine.answer(), calls.call, calls.view)
        if caller.loop is None:
            return drive(engine.answer(), caller.call, caller.view)
        answering = drive_async(engine.answer(), caller.call, caller.view)
        try:
            return asyncio.run_coroutine_threadsafe(answering, caller.loop).result(_LONGEST_S)
        except RuntimeError:  # the loop is closed
            answering.close()
            raise

    async def arun(self, step: Step, decision: Decision, *, purses: Sequence[Purse] | None = None) -> Outcome[Any]:
        """Do the same without blocking."""
        _, engine = self._prepare(step, decision, own=True, purses=purses)
        calls = self._calls(step)
        return await drive_async(engine.answer(), calls.acall, calls.view)

    def comes_to(self, step: Step, view: ResponseView) -> str | None:
        """Return what an answer comes to, for a comparison; None: it agrees with nothing."""
        return None if self._gate.is_refusal(view) else canonical(view, step, self._readers)


def _both(own: Demands, other: Demands) -> Demands:
    """Return what both demand; the requirements are the request's own."""
    return replace(
        own,
        use=_common(own.use, other.use),
        avoid=own.avoid | other.avoid,
        regions=_common(own.regions, other.regions),
        tags=own.tags | other.tags,
    )


def _common(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _least(one: float | None, other: float | None) -> float | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)
