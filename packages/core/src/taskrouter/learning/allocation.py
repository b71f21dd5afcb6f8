"""One model per step identity, chosen jointly: the cheapest work whose pooled score stays near the incumbent's.

The loss is bounded over all work together, not on each identity alone: what a cheap model gains on one kind of step may
pay for what another loses elsewhere. This is a multiple-choice knapsack, solved by its Lagrangian (Everett, Operations
Research 1963; Sinha and Zoltners, Operations Research 1979): one multiplier, the price of a unit of score, and every
identity takes the model that is best at that price.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

ROUNDING = 1e-12
"""Scores are compared to this precision, so that sums in another order decide alike."""


class Option(NamedTuple):
    """What one model is expected to do on one kind of step."""

    score: float
    cost_usd: float


class Work(NamedTuple):
    """One kind of step: how much of it there is, and what each model would do."""

    weight: float
    """Share or count of the steps."""
    options: Mapping[str, Option]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation(Generic[K]):
    """A model for each identity, and for any other the fallback."""

    choices: Mapping[K, str]
    fallback: str
    """The model for identities that were not seen."""
    usd_per_score: float
    """The multiplier: what one more unit of score costs at the margin, US dollars; 0 where the cheapest will do."""
    expected_loss: float
    """Pooled expected score of the incumbent minus that of this allocation; negative: a gain."""
    expected_cost_usd: float
    """Mean per step."""

    def model(self, key: K) -> str:
        """Return the model for that identity."""
        return self.choices.get(key, self.fallback)


class _Upgrade(NamedTuple):
    usd_per_score: float
    gain: float
    cost_usd: float
    position: int
    model: str


def allocate(work: Mapping[K, Work], *, incumbent: str, max_loss: float, fallback: str | None = None) -> Allocation[K]:
    """Choose the cheapest model per identity such that the pooled expected loss stays within `max_loss`.

    Start with the cheapest model everywhere, then buy the upgrades with the most score per dollar until the target is
    met. A negative `max_loss` asks for a margin above the incumbent; where no choice reaches it, the best is returned.

    Args:
        work: what there is to do; each kind of step needs at least the incumbent among its options.
        incumbent: the model to compare with.
        max_loss: accepted pooled loss of score against the incumbent, as a share (0.01 = 1 point).
        fallback: model for identities that are not in `work`; the incumbent unless given.

    Raises:
        ValueError: an identity has no estimate for the incumbent.
    """
    keys = list(work)
    total = sum(entry.weight for entry in work.values()) or 1.0
    needed = -max_loss
    cost_usd = 0.0
    score = 0.0
    choices: dict[K, str] = {}
    upgrades: list[_Upgrade] = []
    for position, key in enumerate(keys):
        weight, options = work[key]
        if incumbent not in options:
            raise ValueError(f"{key!r} has no estimate for the incumbent {incumbent!r}")
        share = weight / total
        frontier = hull(options)
        first = options[frontier[0]]
        choices[key] = frontier[0]
        score += share * (first.score - options[incumbent].score)
        cost_usd += share * first.cost_usd
        upgrades.extend(_upgrades(position, share, [(name, options[name]) for name in frontier]))
    multiplier = 0.0
    for upgrade in sorted(upgrades, key=lambda upgrade: upgrade.usd_per_score):
        if score >= needed - ROUNDING:
            break
        choices[keys[upgrade.position]] = upgrade.model
        score += upgrade.gain
        cost_usd += upgrade.cost_usd
        multiplier = upgrade.usd_per_score
    return Allocation(
        choices=choices,
        fallback=fallback or incumbent,
        usd_per_score=multiplier,
        expected_loss=-score,
        expected_cost_usd=cost_usd,
    )


def hull(options: Mapping[str, Option]) -> list[str]:
    """Return the models on the upper convex hull of score over cost, from the cheapest to the best."""
    kept: list[str] = []
    for name in sorted(options, key=lambda name: (options[name].cost_usd, -options[name].score, name)):
        new = options[name]
        if kept and new.score <= options[kept[-1]].score:
            continue
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
