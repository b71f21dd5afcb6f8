"""Online learners to compare with: Thompson sampling (Thompson 1933) and EXP3 (Auer et al. 2002), one for each task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from benchmarks.quality.data import Array
from benchmarks.quality.plugs import Choice, Pool, Proposals

from taskrouter.decision import Plan
from taskrouter.evaluation.replay import Served
from taskrouter.evaluation.situations import Situation

COST_WEIGHT = 0.05
"""Reward is score minus this times the cost over the incumbent's: five points are worth the whole price."""
MIXING = 0.1
"""EXP3's share of uniform exploration."""


def all_models(pool: Pool) -> list[Plan]:
    """Every model alone."""
    return [Plan(models=(model,)) for model in pool.models]


def five_arms(pool: Pool) -> list[Plan]:
    """Five arms by prices alone: the incumbent, the two cheapest models, the same with its check in front."""
    one, other = sorted((m for m in pool.models if m != pool.incumbent), key=lambda m: (pool.usd_per_call[m], m))[:2]
    return [
        Plan(models=(pool.incumbent,)),
        Plan(models=(one,)),
        Plan(models=(other,)),
        Plan(kind="agree", models=(one, other, pool.incumbent)),
        Plan(kind="agree", models=(other, one, pool.incumbent)),
    ]


class Thompson:
    """Draws a mean score for each arm from its beta posterior and takes the arm with the best drawn reward."""

    def __init__(self, pool: Pool, arms: Sequence[Plan], seed: int) -> None:
        self._arms = list(arms)
        self._place = {str(plan): arm for arm, plan in enumerate(self._arms)}
        self._base_usd = pool.usd_per_call[pool.incumbent]
        self._draws = np.random.default_rng(seed)
        self._beta: dict[str | None, Array] = defaultdict(lambda: np.ones((2, len(self._arms))))
        expected = [sum(pool.usd_per_call[model] for model in plan.models) for plan in self._arms]
        self._costs: dict[str | None, Array] = defaultdict(lambda: np.vstack([expected, np.ones(len(self._arms))]))

    def choose(self, situation: Situation) -> Choice:
        """Draw and compare."""
        good, bad = self._beta[situation.identity]
        costs, calls = self._costs[situation.identity]
        drawn = self._draws.beta(good, bad) - COST_WEIGHT * costs / calls / self._base_usd
        return Choice(self._arms[int(drawn.argmax())], float("nan"))

    def observe(self, situation: Situation, choice: Choice, served: Served, proposals: Proposals) -> None:  # noqa: ARG002
        """Add to the posterior of the arm."""
        arm = self._place[str(choice.plan)]
        self._beta[situation.identity][:, arm] += served.score, 1 - served.score
        self._costs[situation.identity][:, arm] += served.cost_usd, 1


class Exp3:
    """Exponential weights with importance-weighted rewards."""

    def __init__(self, pool: Pool, arms: Sequence[Plan], seed: int) -> None:
        self._arms = list(arms)
        self._place = {str(plan): arm for arm, plan in enumerate(self._arms)}
        self._base_usd = pool.usd_per_call[pool.incumbent]
        self._draws = np.random.default_rng(seed)
        self._logs: dict[str | None, Array] = defaultdict(lambda: np.zeros(len(self._arms)))

    def choose(self, situation: Situation) -> Choice:
        """Draw an arm."""
        logs = self._logs[situation.identity]
        weights = np.exp(logs - logs.max())
        shares = (1 - MIXING) * weights / weights.sum() + MIXING / len(weights)
        arm = int(np.searchsorted(shares.cumsum(), self._draws.random() * shares.sum()))
        return Choice(self._arms[arm], float(shares[arm]))

    def observe(self, situation: Situation, choice: Choice, served: Served, proposals: Proposals) -> None:  # noqa: ARG002
        """Raise the weight of the arm by its reward, the more the rarer it was chosen."""
        reward = max(0.0, served.score - COST_WEIGHT * min(1.0, served.cost_usd / self._base_usd))
        logs = self._logs[situation.identity]
        logs[self._place[str(choice.plan)]] += MIXING / len(logs) * reward / choice.propensity


class Frozen:
    """A policy that was learned before and learns no more: a plan for each step that may come."""

    def __init__(self, situations: Sequence[Situation], plans: Sequence[Plan]) -> None:
        self._plans = {id(situation.step): plan for situation, plan in zip(situations, plans, strict=True)}

    def choose(self, situation: Situation) -> Choice:
        """Look the step up."""
        return Choice(self._plans[id(situation.step)], 1.0)

    def observe(self, situation: Situation, choice: Choice, served: Served, proposals: Proposals) -> None:
        """Nothing."""
