"""From a step to a decision: the stages between them, put together. Nothing is sent anywhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from taskrouter.arguments import no_step, unknown
from taskrouter.budget import BudgetBook, Need, Purse, affordable, pressure
from taskrouter.config import ExecutionConfig, ModelConfig, PolicyConfig
from taskrouter.decision import Decision
from taskrouter.errors import ConfigurationError, NoEligibleModelError
from taskrouter.execution.backends.request import answers_asked_for, length_limits
from taskrouter.health import Health
from taskrouter.learning.standing import Standing
from taskrouter.outcome import Attempt
from taskrouter.planning import (
    BY_CIRCUMSTANCES,
    TEACHABLE,
    Planned,
    Planner,
    Trust,
    check_of,
    follow,
    trusted,
)
from taskrouter.planning.prefix import PrefixMemory
from taskrouter.policies import Policies, PolicySpec
from taskrouter.policy import Effects, Eligibility, RuleSet
from taskrouter.ports import WELL, Conditions
from taskrouter.profile import TaskProfile
from taskrouter.profiling import Profiler
from taskrouter.schemas import SchemaCheck
from taskrouter.step import Step
from taskrouter.teaching import Teaching


class Decider:
    """Decides where steps go.

    Args:
        models: the pool by id.
        incumbent: id of the model that is used today.
        profiler: tells what a step is.
        rules: what holds for some steps only.
        eligibility: tells which models can take a step.
        planner: scores what is left.
        policies: selectors by policy.
        policy_version: hash of all that a decision depends on.
        execution: whether streams are held back, for plans that compare answers.
        budgets: in force for steps.
        health: of the models at the moment.
        teaching: what was learned.
        standing: of the certificate of a policy that was given.
    """

    def __init__(  # noqa: PLR0913 - all of them are collaborators
        self,
        *,
        models: Mapping[str, ModelConfig],
        incumbent: str,
        profiler: Profiler,
        rules: RuleSet,
        eligibility: Eligibility,
        planner: Planner,
        policies: Policies,
        policy_version: str,
        execution: ExecutionConfig,
        budgets: BudgetBook,
        health: Health,
        teaching: Teaching,
        standing: Standing | None,
    ) -> None:
        self.profiler = profiler
        self._rules = rules
        self.eligibility = eligibility
        self.policies = policies
        self.policy_version = policy_version
        self._models = models
        self._ids = tuple(models)
        self._incumbent = incumbent
        self._planner = planner
        self._execution = execution
        self._budgets = budgets
        self._health = health
        self._teaching = teaching
        self._standing = standing
        self._schemas = SchemaCheck()
        self._prefixes = PrefixMemory()
        self._caching = any(model.cached_input_usd_per_million is not None for model in models.values())

    def decide(self, step: Step, *, policy: PolicySpec | None, use: Sequence[str] | None, streamed: bool) -> Decision:
        """Decide where a step goes; see `Router.route`."""
        started_s = time.perf_counter()
        if not isinstance(step, Step):
            raise no_step(step)
        if step.tools or step.response_schema is not None:
            self._schemas.check(step)
        profile, effects = self.known(step)
        demands = effects.demands if use is None else effects.demands.only(self.policies.known(use, "use"))
        eligible, rejected = self.eligibility.check(profile, demands, max_cost_usd=effects.max_cost_usd)
        if not eligible:
            raise NoEligibleModelError(rejected)
        purses = self._budgets.in_force(step.context)
        if purses:
            eligible, unpaid = affordable(purses, self.need(step, profile), self._ids, eligible, rejected)
            rejected += unpaid
        config = effects.policy or self.policies.default if policy is None else self.policies.checked(policy)
        conditions = self._conditions(step, config, purses)
        several = not streamed or self._execution.buffer_streams
        trust = self._trust(step, profile, config) if several else None
        selector = self.policies.selector(config)
        planned = self._planner.plan(profile, eligible, selector, conditions, config.escalation, trust)
        identity, standing = None, self._standing
        if self._teaching.active and config.name in TEACHABLE:
            identity, planned = self._taught(step, profile, planned, several=several)
        return Decision(
            id=f"dec_{os.urandom(8).hex()}",
            context=step.context,
            plan=planned.plan,
            profile=profile,
            policy=config.name,
            policy_version=self.policy_version,
            reason=planned.choice.reason,
            detail=planned.choice.detail,
            incumbent=self._incumbent,
            fallbacks=planned.fallbacks,
            rejected=rejected + planned.rejected,
            regions=demands.regions,
            propensity=planned.choice.propensity,
            duration_s=time.perf_counter() - started_s,
            rule=effects.rule,
            identity=identity,
            certificate=standing.line if standing is not None and planned.choice.reason == "learned" else None,
            alternatives=planned.choice.alternatives,
            several=several,
            use=None if use is None else frozenset(use),
            board=planned.board,
        )

    def known(self, step: Step) -> tuple[TaskProfile, Effects]:
        """Return what a step is, and what the rules say of it."""
        declared, sensitivity = self._rules.declarations(step)
        profile = self.profiler.profile(step, task_type=step.task_type or declared, sensitivity=sensitivity)
        return profile, self._rules.effects(step, profile)

    def check(self, step: Step, decision: Decision) -> None:
        """Make sure of a decision that was made before: it may be another router's, or have been changed since.

        What a step may not be sent to, it may not be sent to as a fallback either.

        Raises:
            ConfigurationError: it is no decision, or names models that are not here.
            NoEligibleModelError: one of its models may not take the step.
        """
        if not isinstance(step, Step):
            raise no_step(step)
        if not isinstance(decision, Decision):
            raise ConfigurationError(f"decision is a {type(decision).__name__}; pass what `route` returned")
        for model in (*decision.plan.models, *decision.fallbacks):
            if model not in self._models:
                raise ConfigurationError(
                    f"decision: {unknown('model', model, self._models, 'the pool has')}; pass a decision of this router"
                )
        effects = self._rules.effects(step, decision.profile)
        _, rejected = self.eligibility.check(decision.profile, effects.demands, max_cost_usd=effects.max_cost_usd)
        if rejected and (barred := [r for r in rejected if r.model in (*decision.plan.models, *decision.fallbacks)]):
            raise NoEligibleModelError(barred)

    def plan(self, profile: TaskProfile, eligible: tuple[int, ...]) -> Planned:
        """Score the models at some positions of the pool by the default policy, as nothing else held."""
        return self._planner.plan(profile, eligible, self.policies.selector(self.policies.default))

    def need(self, step: Step, profile: TaskProfile) -> Callable[[str], Need]:
        """Return what tells the most that a call of a model may use, as far as its request says."""
        limits = length_limits(step, self._models)
        return self._budgets.need(profile, self._models, limits, answers=answers_asked_for(step))

    def answered(self, step: Step, attempts: Sequence[Attempt]) -> None:
        """Remember which providers have the step's prompt in their caches now."""
        if self._caching:
            for attempt in attempts:
                if attempt.status == "ok":
                    self._prefixes.note(step, attempt.model, attempt.usage, time.monotonic())

    def _conditions(self, step: Step, policy: PolicyConfig, purses: Sequence[Purse]) -> Conditions:
        """Return what holds at the moment beside the cards; mostly nothing."""
        now_s = time.monotonic()
        sidelined = self._health.sidelined(now_s)
        cached = self._prefixes.expected(step, self._models, now_s) if self._caching else {}
        money, hurry = pressure(purses) if purses else (0.0, 0.0)
        timed = hurry > 0.0 or (policy.weights is not None and policy.weights.latency > 0.0)
        if not (sidelined or cached or money or timed):
            return WELL
        return Conditions(
            sidelined=sidelined,
            latency_s=self._health.latencies_s() if timed else {},
            cached_tokens=cached,
            cost_weight=money,
            latency_weight=hurry,
        )

    def _trust(self, step: Step, profile: TaskProfile, policy: PolicyConfig) -> Trust | None:
        """Return what the policy may compare two answers by, and what it may lose by that."""
        if not policy.agreement:
            return None
        check = check_of(step, profile)
        return None if check is None else trusted(policy).get(check)

    def _taught(
        self, step: Step, profile: TaskProfile, planned: Planned, *, several: bool
    ) -> tuple[str | None, Planned]:
        """Let what was learned for the step's identity take the place of what was planned without labels."""
        if planned.choice.reason in BY_CIRCUMSTANCES:
            return None, planned
        identity, advice = self._teaching.advise(step, profile, planned, several=several)
        if advice is None or (advice.plan == planned.plan and not advice.alternatives and self._standing is None):
            return identity, planned  # nothing was learned that changes anything
        plan, propensity, loss, detail, others = advice
        return identity, follow(planned, plan, propensity=propensity, loss=loss, detail=detail, alternatives=others)
