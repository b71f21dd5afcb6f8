"""What another policy would have scored and cost, from decisions that were logged with their chances.

Three estimators of a mean per step, from weights w = (chance under the new policy) / (chance under the logged one):

- *IPS*, the mean of w times the outcome (Horvitz and Thompson, JASA 1952): unbiased, and wild where weights are large;
- *SNIPS*, the same over the mean of the weights (Swaminathan and Joachims, NIPS 2015): hardly biased, much calmer;
- *DR*, a model of outcomes, corrected where the log disagrees with it (Dudík, Langford and Li, ICML 2011): unbiased
  whatever the model, and calm as far as the model is right. The model of a step is made from other steps than its own.

Intervals are normal ones at 95 %: for IPS and DR from the variance of their terms, for SNIPS by the delta method. They
count one more step that goes against the mean as far as one can, so that thirty equal outcomes do not look like proof.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from taskrouter.decision import Z95
from taskrouter.errors import TaskRouterError

FOLDS: Final = 5
STRENGTH: Final = 5.0
"""Outcomes that the level above is worth in the model of outcomes."""
MIN_ESS: Final = 30.0
"""Steps that the weighted ones must be worth at least."""
MAX_UNSUPPORTED: Final = 0.1
"""Share of the steps that may lack support."""
NAMED: Final = 5
_NONE: Final = 1e-9


class OverlapError(TaskRouterError):
    """The logged decisions have too little in common with those of the new policy for anything to be said."""


class Case(NamedTuple):
    """A logged decision, and what the new policy would have done."""

    identity: str
    task_type: str
    plan: str
    """The plan that was carried out."""
    logged: Mapping[str, float]
    """The chance that each plan had, the one carried out among them."""
    target: Mapping[str, float]
    """The chance that each plan would have under the new policy."""

    @property
    def weight(self) -> float:
        """How many times as likely the plan is under the new policy."""
        return self.target.get(self.plan, 0.0) / self.logged[self.plan]

    @property
    def supported(self) -> bool:
        """Whether every plan that the new policy might choose had a chance."""
        return all(self.logged.get(plan, 0.0) > 0.0 for plan, chance in self.target.items() if chance > _NONE)


class Mean(NamedTuple):
    """A mean per step with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is to be said of one outcome, the score or the cost."""

    steps: int
    """Decisions with support and with that outcome."""
    ess: float
    """How many unweighted steps the weighted ones are worth, (sum w)² / sum w²: at most `steps`."""
    logged: Mean
    """What the logged policy had on the same steps."""
    ips: Mean
    snips: Mean
    dr: Mean
    difference: Mean
    """The new policy minus the logged one, by DR, step by step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How far the log can tell of the new policy."""

    steps: int
    supported: int
    lacking: Mapping[str, tuple[int, int]]
    """For each identity that lacks support, its steps without it and all its steps; most first."""

    @property
    def unsupported_share(self) -> float:
        """Share of the steps that lack support."""
        return 1.0 - self.supported / self.steps if self.steps else 0.0


def overlap(cases: Iterable[Case]) -> Overlap:
    """Count the steps for which every plan of the new policy had a chance."""
    every: Counter[str] = Counter()
    without: Counter[str] = Counter()
    for case in cases:
        every[case.identity] += 1
        without[case.identity] += not case.supported
    lacking = {key: (count, every[key]) for key, count in without.most_common() if count}
    return Overlap(steps=every.total(), supported=every.total() - without.total(), lacking=lacking)


def estimate(cases: Sequence[Case], values: Sequence[float], *, bound: float = 0.0) -> Estimate:
    """Estimate the mean of an outcome under the new policy.

    Args:
        cases: decisions that have support, at least one of them with a weight above 0.
        values: the outcome of each.
        bound: how far an outcome may lie from the mean; 0 where that is not known.

    Raises:
        ValueError: a decision lacks support, or none has a weight.
    """
    if not all(case.supported for case in cases):
        raise ValueError("a decision lacks support: leave it out, and say so")
    weights = [case.weight for case in cases]
    total = sum(weights)
    if total <= 0.0:
        raise ValueError("no decision has a weight: the new policy would have done nothing of what was logged")
    count = len(cases)
    weighted = [weight * value for weight, value in zip(weights, values, strict=True)]
    snips = sum(weighted) / total
    doubly = _doubly_robust(cases, values, weights)
    far = bound * total / count
    return Estimate(
        steps=count,
        ess=effective(weights),
        logged=_mean(values, bound),
        ips=_mean(weighted, far),
        snips=_around(
            snips,
            math.sqrt(
                sum((weight * (value - snips)) ** 2 for weight, value in zip(weights, values, strict=True)) + far * far
            )
            / total,
        ),
        dr=_mean(doubly, far),
        difference=_mean([own - value for own, value in zip(doubly, values, strict=True)], 0.0),
    )


def effective(weights: Sequence[float]) -> float:
    """Return the effective sample size (Kish, Survey Sampling, 1965); 0 where nothing has a weight."""
    squares = sum(weight * weight for weight in weights)
    return min(sum(weights) ** 2 / squares, float(len(weights))) if squares else 0.0


def refuse(found: Overlap, *, most: float) -> None:
    """Refuse where too many steps lack support.

    Raises:
        OverlapError: it names the identities with most of these steps.
    """
    if found.unsupported_share <= most:
        return
    shown = [f"{key!r} ({without:,} of {every:,})" for key, (without, every) in [*found.lacking.items()][:NAMED]]
    more = len(found.lacking) - len(shown)
    raise OverlapError(
        f"the new policy might choose plans that had no chance when the log was made, "
        f"on {found.steps - found.supported:,} of {found.steps:,} decisions ({100 * found.unsupported_share:.0f} %, "
        f"allowed are {100 * most:g} %): nothing is known of how they would have done. Identities: {', '.join(shown)}"
        f"{f' and {more} more' if more else ''}. Let the logged policy explore there, or try one that is closer to it"
    )


class OutcomeModel:
    """Mean outcome per identity and plan, each level shrunk towards the one above: plan within task type, plan, all.

    Args:
        cases: decisions.
        values: the outcome of each.
    """

    def __init__(self, cases: Iterable[Case], values: Iterable[float]) -> None:
        sums: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for case, value in zip(cases, values, strict=True):
            for key in _levels(case.identity, case.task_type, case.plan):
                cell = sums[key]
                cell[0] += 1.0
                cell[1] += value
        self._sums = dict(sums)

    def expected(self, case: Case, plan: str) -> float:
        """Return what a plan is expected to come to on a step of that kind."""
        value = 0.0
        for depth, key in enumerate(_levels(case.identity, case.task_type, plan)):
            count, total = self._sums.get(key, (0.0, 0.0))
            strength = STRENGTH if depth else 0.0
            if count or strength:
                value = (strength * value + total) / (strength + count)
        return value


def _levels(identity: str, task_type: str, plan: str) -> tuple[tuple[str, ...], ...]:
    return (), (plan,), (plan, task_type), (plan, task_type, identity)


def _doubly_robust(cases: Sequence[Case], values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the terms whose mean is the estimate; the model of each step is made from the other folds."""
    folds = min(FOLDS, len(cases))
    terms = [0.0] * len(cases)
    for fold in range(folds):
        others = [i for i in range(len(cases)) if i % folds != fold] if folds > 1 else [0]
        model = OutcomeModel([cases[i] for i in others], [values[i] for i in others])
        for i in range(fold, len(cases), folds):
            terms[i] = _corrected(cases[i], values[i], weights[i], model.expected)
    return terms


def _corrected(case: Case, value: float, weight: float, expected: Callable[[Case, str], float]) -> float:
    foreseen = sum(chance * expected(case, plan) for plan, chance in case.target.items())
    return foreseen + weight * (value - expected(case, case.plan))


def _mean(terms: Sequence[float], far: float) -> Mean:
    count = len(terms)
    mean = sum(terms) / count
    return _around(mean, math.sqrt(sum((term - mean) ** 2 for term in terms) + far * far) / count)


def _around(mean: float, error: float) -> Mean:
    return Mean(mean, mean - Z95 * error, mean + Z95 * error)
