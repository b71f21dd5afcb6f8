"""From labels to a policy: shrunken gains per identity, a joint choice, and a target that was tested on steps left out.

1. *What is believed* of each plan per identity: `GainTable`, an empirical Bayes estimate of what it gains against the
   incumbent. A plan is taken at `CAUTION` standard deviations below that, for the best of many noisy estimates is best
   by luck too.
2. *What is chosen*: `allocate`, the cheapest plans whose pooled loss stays within a target.
3. *Which target*: the one that does best on steps left out (5-fold cross-validation). It must keep its pooled loss, one
   standard error added, within `max_loss` (the rule of Breiman et al., Classification and Regression Trees, 1984). Of
   those that do, a point of loss must save at least `WORTH_OF_A_POINT` of the incumbent's cost: the last dollar is not
   bought with quality.

Where no target does, nothing is learned and every step stays with what the router does without labels.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Final, NamedTuple, TypeAlias

from taskrouter.decision import Z95, Loss, Plan
from taskrouter.learning.allocation import Allocation, Market, Option, Work
from taskrouter.learning.gains import Estimate, GainTable, Scored
from taskrouter.learning.identity import Identity
from taskrouter.learning.policy import Branch, LearnedPolicy, Reckoning
from taskrouter.learning.views import VIEWS, View, has_unnamed, offers_tools, seen

MAX_LOSS: Final = 0.02
"""Accepted pooled loss against the incumbent on steps left out, one standard error included."""
WORTH_OF_A_POINT: Final = 0.2
"""Share of the incumbent's cost that a point of loss must save at least."""
CAUTION: Final = 1.5
"""Standard deviations of an estimate that are taken off a plan's gain before it is chosen."""
TARGETS: Final = (
    *(-0.02, -0.015, -0.01, -0.0075, -0.005, -0.0025, 0.0, 0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025),
    *(0.03, 0.035, 0.04, 0.05, 0.06),
)
"""Losses that `allocate` may be asked for. As gains are taken low, the loss that comes is mostly below the target."""
FOLDS: Final = 5
FEWEST_TRIALS: Final = 20
"""Steps with labels of several plans from which a target can be tested on steps left out. A running agent has labels of
one plan at a time: then no loss at all is accepted, and gains are taken `CAUTION` lower."""
FEWEST: Final = 5
"""Labelled steps that an identity needs for a choice of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A step with labels: of one plan, or of several on the same prompt."""

    identity: Identity
    scores: Mapping[str, Scored]
    """By name of the plan."""
    weight: float = 1.0
    """What the label is worth beside one that a user or a test gave."""


Shares: TypeAlias = tuple[tuple[str, float], ...]
"""Plans, each with the share of an identity's steps that takes it."""


class _Trial(NamedTuple):
    """What a target did on one step left out."""

    loss: float
    extra_usd: float
    base_usd: float
    weight: float
    """Steps that it stands for."""


def fit(
    rows: Sequence[Labelled],
    plans: Mapping[str, Plan],
    incumbent: str,
    *,
    max_loss: float = MAX_LOSS,
    traffic: Mapping[str, float] | None = None,
    seed: int = 0,
) -> LearnedPolicy | None:
    """Learn a policy, or None where the labels do not show that anything can be saved.

    Args:
        rows: labelled steps.
        plans: what may be chosen, by name; the incumbent alone is among them.
        incumbent: name of that plan, the model's id.
        max_loss: accepted pooled loss, as a share (0.01 = 1 point).
        traffic: how many steps of each identity there are, labelled or not: losses are pooled over these. Labels are
            often given where they are easy to have. Without it the labels count themselves.
        seed: of the folds.
    """
    if not _mean_cost(rows, incumbent):
        return None  # it was never called, or is free: there is nothing to save against
    views = VIEWS if has_unnamed({row.identity.key for row in rows}) else VIEWS[:1]
    folds = _folds(len(rows), seed)
    parts = [_table([rows[i] for i in fold], incumbent) for fold in folds]
    learned = [_Seen(rows, incumbent, folds, parts, traffic, view).learn(plans, max_loss) for view in views]
    return max(filter(None, learned), key=_balance, default=None)


def _balance(policy: LearnedPolicy) -> float:
    loss, error, saving, _ = policy.reckoning
    return _worth(loss + error, saving)


class _Seen:
    """All labels, with steps without a name seen in one way."""

    def __init__(
        self,
        rows: Sequence[Labelled],
        incumbent: str,
        folds: Sequence[Sequence[int]],
        parts: Sequence[GainTable],
        traffic: Mapping[str, float] | None,
        view: View,
    ) -> None:
        self.view = view
        self.incumbent = incumbent
        self.rows = rows
        keys = {key: seen(key, view) for key in {row.identity.key for row in rows}}
        self.keys = [keys[row.identity.key] for row in rows]
        self.folds = folds
        # What was recorded once, as it is: identities become one by adding sums, not by recording every row again.
        self.parts = parts if view == "whole" else [part.regrouped(keys.__getitem__) for part in parts]
        self.table = _merged(self.parts, incumbent)
        steps: dict[str, float] = defaultdict(float)
        for key, count in (traffic or {}).items():
            steps[seen(key, view)] += count
        self.weights = {key: steps[key] or self.table.steps(key) for key in self.table.identities}

    def learn(self, plans: Mapping[str, Plan], max_loss: float) -> LearnedPolicy | None:
        """Find the target that does best on steps left out, and choose by it."""
        tried = self._cross_validate(plans)
        testable = max(len(trials) for trials in tried.values())
        target = _best(tried, max_loss) if testable >= FEWEST_TRIALS else 0.0
        if target is None:
            return None
        table = self.table
        estimates = table.estimates(plans)
        checked = _checked(plans, self.incumbent)
        allocation = _market(table, estimates, self.incumbent, self.weights, checked).within(target, mixed=True)
        return LearnedPolicy(
            self.incumbent,
            {
                key: tuple(_branches(allocation, key, estimates[key], plans, table.steps(key)))
                for key in table.identities
                if table.steps(key) >= FEWEST
            },
            {key: table.steps(key) for key in table.identities},
            _reckoned(tried[target], len(self.rows)),
            self.view,
        )

    def _cross_validate(self, plans: Mapping[str, Plan]) -> dict[float, list[_Trial]]:
        """Try every target on the steps left out, as far as these have labels of what is chosen."""
        counts = Counter(self.keys)
        weights = {key: self.weights[key] / count for key, count in counts.items()}
        fewest = FEWEST * (1.0 - 1.0 / FOLDS)
        incumbent, names, checked = self.incumbent, list(plans), _checked(plans, self.incumbent)
        tried: dict[float, list[_Trial]] = {target: [] for target in TARGETS}
        for position, fold in enumerate(self.folds):
            rest = _merged([part for other, part in enumerate(self.parts) if other != position], incumbent)
            estimates = rest.estimates(names)
            if not any(of[incumbent].cost_usd for of in estimates.values()):
                continue  # none of its calls is in these folds
            market = _market(rest, estimates, incumbent, self.weights, checked, fewest)
            left_out = _LeftOut([(self.keys[i], self.rows[i].scores) for i in fold], incumbent, weights)
            for target, trials in tried.items():
                trials.extend(left_out.under(market.within(target, mixed=True)))
        return tried


class _LeftOut:
    """Steps left out, and what plans did on them. It is kept: most targets choose alike for most identities."""

    def __init__(
        self, steps: Sequence[tuple[str, Mapping[str, Scored]]], incumbent: str, weights: Mapping[str, float]
    ) -> None:
        self._scores = [scores for _, scores in steps]
        self._incumbent = incumbent
        self._weights = weights
        self._of: dict[str, list[int]] = defaultdict(list)
        for position, (key, _) in enumerate(steps):
            self._of[key].append(position)
        self._known: dict[tuple[str, Shares], list[_Trial | None]] = {}

    def under(self, allocation: Allocation[str]) -> Iterator[_Trial]:
        """Return what an allocation does on the steps that have labels of what it chooses, in their order."""
        found: list[_Trial | None] = [None] * len(self._scores)
        for key, positions in self._of.items():
            shares = allocation.shares(key)
            trials = self._known.get((key, shares))
            if trials is None:
                weight = self._weights[key]
                trials = [_trial(self._scores[i], shares, self._incumbent, weight) for i in positions]
                self._known[key, shares] = trials
            for position, trial in zip(positions, trials, strict=True):
                found[position] = trial
        return filter(None, found)


def _branches(
    allocation: Allocation[str], key: str, estimates: Mapping[str, Estimate], plans: Mapping[str, Plan], steps: int
) -> Iterator[Branch]:
    for name, share in allocation.shares(key):
        if share > 0.0:
            mean, spread = -estimates[name].gain, Z95 * math.sqrt(estimates[name].variance)
            source = "the incumbent itself" if name == allocation.fallback else f"{steps:,} labelled steps of its kind"
            yield Branch(plans[name], share, Loss(mean, mean - spread, mean + spread, source))


def _folds(rows: int, seed: int) -> list[list[int]]:
    order = list(range(rows))
    random.Random(seed).shuffle(order)
    return [fold for start in range(FOLDS) if (fold := order[start::FOLDS])]


def _table(rows: Iterable[Labelled], incumbent: str) -> GainTable:
    table = GainTable(incumbent)
    for row in rows:
        table.record(row.identity, row.scores, row.weight)
    return table


def _merged(parts: Sequence[GainTable], incumbent: str) -> GainTable:
    whole = GainTable(incumbent)
    for part in parts:
        whole.merge(part)
    return whole


def _market(
    table: GainTable,
    estimates: Mapping[str, Mapping[str, Estimate]],
    incumbent: str,
    weights: Mapping[str, float],
    checked: frozenset[str],
    fewest: float = FEWEST,
) -> Market[str]:
    work = {
        key: Work(weights[key], _options(_may_be(estimates[key], checked if offers_tools(key) else None), incumbent))
        for key in table.identities
        if table.steps(key) >= fewest
    }
    return Market(work, incumbent=incumbent)


def _checked(plans: Mapping[str, Plan], incumbent: str) -> frozenset[str]:
    """Return the plans that compare answers before the incumbent, and the incumbent; none where nothing compares."""
    several = {n for n, plan in plans.items() if plan.kind == "agree" and plan.models[-1] == plans[incumbent].models[0]}
    return frozenset(several | {incumbent}) if several else frozenset()


def _may_be(estimates: Mapping[str, Estimate], checked: frozenset[str] | None) -> Mapping[str, Estimate]:
    """Leave the plans that check themselves to a step with tools and without a name, where there are any.

    The text does not tell kinds of such steps apart: a cheap model that is right wherever a call is due may call tools
    that do not fit on the next one. On categories of tools that were not learned from, single models lost 4.6 points,
    up to 28; what compares answers lost nothing.
    """
    return {n: e for n, e in estimates.items() if n in checked} if checked else estimates


def _options(estimates: Mapping[str, Estimate], incumbent: str) -> dict[str, Option]:
    """Gains with the caution taken off; a plan without a known cost or without labels cannot be chosen."""
    return {
        name: Option(e.gain - CAUTION * math.sqrt(e.variance), e.cost_usd)
        for name, e in estimates.items()
        if e.cost_usd is not None and (e.labels or name == incumbent)
    }


def _trial(scores: Mapping[str, Scored], shares: Shares, incumbent: str, weight: float) -> _Trial | None:
    base = scores.get(incumbent)
    if base is None or base.cost_usd is None or len(scores) == 1:
        return None  # nothing to compare
    loss = extra_usd = 0.0
    for name, share in shares:
        own = scores.get(name)
        if own is None or own.cost_usd is None:
            return None
        loss += share * (base.score - own.score)
        extra_usd += share * (own.cost_usd - base.cost_usd)
    return _Trial(loss, extra_usd, base.cost_usd, weight)


def _best(tried: Mapping[float, Sequence[_Trial]], max_loss: float) -> float | None:
    """Return the target with the best balance of saving and loss; None where none saves within the loss."""
    best, balance = None, 0.0
    for target, trials in tried.items():
        if len(trials) < FEWEST_TRIALS:
            continue
        loss, error, saving = _tested(trials)
        if loss + error > max_loss or saving <= 0.0 or _worth(loss, saving) <= 0.0:
            continue
        worth = _worth(loss + error, saving)
        if best is None or worth > balance:
            best, balance = target, worth
    return best


def _worth(loss: float, saving: float) -> float:
    """What is left of a saving when its loss is paid for; a gain costs nothing."""
    return saving - WORTH_OF_A_POINT * 100.0 * max(0.0, loss)


def _tested(trials: Sequence[_Trial]) -> tuple[float, float, float]:
    """Return the mean loss, its standard error, and the saved share of the incumbent's cost.

    The error is as if one more step had been lost outright: few steps prove little.
    """
    losses, extras_usd, bases_usd, weights = zip(*trials, strict=True)
    total = sum(weights)
    mean = sum(map(mul, weights, losses)) / total
    usual = total / len(trials)
    scatter = sum([(weight * (loss - mean)) ** 2 for weight, loss in zip(weights, losses, strict=True)])
    base_usd = sum(map(mul, weights, bases_usd))
    saving = -sum(map(mul, weights, extras_usd)) / base_usd if base_usd else 0.0
    return mean, math.sqrt(scatter + usual**2) / total, saving


def _mean_cost(rows: Sequence[Labelled], name: str) -> float:
    costs = [s.cost_usd for row in rows if (s := row.scores.get(name)) is not None and s.cost_usd is not None]
    return sum(costs) / len(costs) if costs else 0.0


def _reckoned(trials: Sequence[_Trial], steps: int) -> Reckoning:
    if not trials:
        return Reckoning(0.0, 1.0, 0.0, steps)
    return Reckoning(*_tested(trials), steps)
