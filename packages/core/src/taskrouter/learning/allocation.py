"""One plan per step identity, chosen jointly: the cheapest work whose pooled score stays near the incumbent's.

The loss is bounded over all work together, not on each identity alone: what a cheap model gains on one kind of step may
pay for what another loses elsewhere. This is a multiple-choice knapsack, solved by its Lagrangian (Everett, Operations
Research 1963; Sinha and Zoltners, Operations Research 1979): one multiplier, the price of a unit of score, and every
identity takes the plan that is best at that price. Where plans are lumpy the target lies between two choices of one
identity: it may be met exactly by sending a share of its steps each way (the optimum of the relaxed problem mixes at
most one identity).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

ROUNDING = 1e-12
"""Scores are compared to this precision, so that sums in another order decide alike."""
HALF = 0.5


class Option(NamedTuple):
    """What one plan is expected to do on one kind of step."""

    score: float
    cost_usd: float


class Work(NamedTuple):
    """One kind of step: how much of it there is, and what each plan would do."""

    weight: float
    """Share or count of the steps."""
    options: Mapping[str, Option]


class Mix(NamedTuple, Generic[K]):
    """The one identity whose steps are divided between two plans."""

    key: K
    before: str
    """The cheaper plan, which the rest of the steps takes."""
    share: float
    """Share of the steps that takes the plan in `choices`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation(Generic[K]):
    """A plan for each identity, and for any other the fallback."""

    choices: Mapping[K, str]
    mix: Mix[K] | None = None
    fallback: str
    """The plan for identities that were not seen."""
    usd_per_score: float
    """The multiplier: what one more unit of score costs at the margin, US dollars; 0 where the cheapest will do."""
    expected_loss: float
    """Pooled expected score of the incumbent minus that of this allocation; negative: a gain."""
    expected_cost_usd: float
    """Mean per step."""

    def plan(self, key: K) -> str:
        """Return the plan for that identity; of two the one that most of its steps take."""
        mix = self.mix
        if mix is not None and mix.key == key and mix.share < HALF:
            return mix.before
        return self.choices.get(key, self.fallback)

    def shares(self, key: K) -> tuple[tuple[str, float], ...]:
        """Return the plans for that identity with the share of its steps that each takes."""
        chosen = self.choices.get(key, self.fallback)
        if self.mix is None or self.mix.key != key:
            return ((chosen, 1.0),)
        return ((self.mix.before, 1.0 - self.mix.share), (chosen, self.mix.share))


class _Upgrade(NamedTuple):
    usd_per_score: float
    gain: float
    cost_usd: float
    position: int
    plan: str


class Market(Generic[K]):
    """All that is worth buying, worked out once: `within` then walks along it for one target after another.

    Args:
        work: what there is to do; each kind of step needs at least the incumbent among its options.
        incumbent: the model to compare with.

    Raises:
        ValueError: an identity has no estimate for the incumbent.
    """

    def __init__(self, work: Mapping[K, Work], *, incumbent: str) -> None:
        self._incumbent = incumbent
        self._keys = list(work)
        self._cheapest: dict[K, str] = {}
        self._score = self._cost_usd = 0.0
        total = sum(entry.weight for entry in work.values()) or 1.0
        upgrades: list[_Upgrade] = []
        for position, (key, (weight, options)) in enumerate(work.items()):
            if incumbent not in options:
                raise ValueError(f"{key!r} has no estimate for the incumbent {incumbent!r}")
            share = weight / total
            frontier = hull(options)
            first = options[frontier[0]]
            self._cheapest[key] = frontier[0]
            self._score += share * (first.score - options[incumbent].score)
            self._cost_usd += share * first.cost_usd
            upgrades.extend(_upgrades(position, share, [(name, options[name]) for name in frontier]))
        self._upgrades = sorted(upgrades, key=itemgetter(0))

    def within(self, max_loss: float, *, fallback: str | None = None, mixed: bool = False) -> Allocation[K]:
        """Return the cheapest plan per identity such that the pooled expected loss stays within `max_loss`.

        Args:
            max_loss: accepted pooled loss of score against the incumbent, as a share (0.01 = 1 point).
            fallback: plan for identities that are not in the work; the incumbent unless given.
            mixed: whether the steps of one identity may be divided, so that the target is met exactly.
        """
        needed = -max_loss
        score, cost_usd = self._score, self._cost_usd
        choices = dict(self._cheapest)
        multiplier = 0.0
        mix: Mix[K] | None = None
        for upgrade in self._upgrades:
            if score >= needed - ROUNDING:
                break
            key, missing = self._keys[upgrade.position], needed - score
            share = 1.0
            if mixed and upgrade.gain > missing + ROUNDING:
                share = missing / upgrade.gain
                mix = Mix(key, choices[key], share)
            choices[key] = upgrade.plan
            score += share * upgrade.gain
            cost_usd += share * upgrade.cost_usd
            multiplier = upgrade.usd_per_score
        return Allocation(
            choices=choices,
            mix=mix,
            fallback=fallback or self._incumbent,
            usd_per_score=multiplier,
            expected_loss=-score,
            expected_cost_usd=cost_usd,
        )


def allocate(
    work: Mapping[K, Work], *, incumbent: str, max_loss: float, fallback: str | None = None, mixed: bool = False
) -> Allocation[K]:
    """Choose the cheapest plan per identity such that the pooled expected loss stays within `max_loss`.

    Start with the cheapest model everywhere, then buy the upgrades with the most score per dollar until the target is
    met. A negative `max_loss` asks for a margin above the incumbent; where no choice reaches it, the best is returned.

    Args:
        work: what there is to do; each kind of step needs at least the incumbent among its options.
        incumbent: the model to compare with.
        max_loss: accepted pooled loss of score against the incumbent, as a share (0.01 = 1 point).
        fallback: plan for identities that are not in `work`; the incumbent unless given.
        mixed: whether the steps of one identity may be divided, so that the target is met exactly.

    Raises:
        ValueError: an identity has no estimate for the incumbent.
    """
    return Market(work, incumbent=incumbent).within(max_loss, fallback=fallback, mixed=mixed)


def hull(options: Mapping[str, Option]) -> list[str]:
    """Return the options on the upper convex hull of score over cost, from the cheapest to the best."""
    kept: list[str] = []
    best = -inf
    for _, worse, name in sorted([(cost_usd, -score, name) for name, (score, cost_usd) in options.items()]):
        if kept and -worse <= best:
            continue
        best = -worse
        new = options[name]
        while len(kept) > 1 and _below(options[kept[-2]], options[kept[-1]], new):
            kept.pop()
        kept.append(name)
    return kept


def _below(left: Option, middle: Option, right: Option) -> bool:
    """Whether the middle option lies on or below the line between the other two."""
    return (middle.score - left.score) * (right.cost_usd - left.cost_usd) <= (right.score - left.score) * (
        middle.cost_usd - left.cost_usd
    )


def _upgrades(position: int, share: float, frontier: list[tuple[str, Option]]) -> list[_Upgrade]:
    """Return an identity's upgrades in order. A hull is concave, so their prices rise; rounding may not change that."""
    found: list[_Upgrade] = []
    price = 0.0
    for (_, worse), (name, better) in pairwise(frontier):
        gain, extra = better.score - worse.score, better.cost_usd - worse.cost_usd
        price = max(price, extra / gain)
        found.append(_Upgrade(price, share * gain, share * extra, position, name))
    return found
