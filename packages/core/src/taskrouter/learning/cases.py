"""What is known of each identity while the router runs: sums over its labels, plan by plan, and its plans' prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from taskrouter.decision import Loss, Plan
from taskrouter.learning.gains import Scored

UNKNOWN_RIGHT: Final = 0.2
"""How often a proposal is right that differs from a wrong answer, measured on published answers: .08 to .33 by
model."""
OTHER_FORM: Final = 0.35
"""How often it is right although it differs from a right answer, where answers have several right forms, as tool calls
have: .21 to .49 by model, measured likewise. Where there is one right form it is wrong, and its label says so."""
SETTLED: Final = 30.0
"""Labels of the default that an identity has before anything else is exploited there: they tell about its proposers."""
COST_LABELS: Final = 5.0
"""Labels that the announced price of a plan is worth."""
RECENT: Final = 0.05
"""Weight of the latest announced price in their running mean."""
RIGHT: Final = 1.0
DOUBT_FADES: Final = 0.98
"""What a label leaves of the doubt that drift has raised."""
LEAST_DOUBT: Final = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A plan that a step may take, and what is believed of it before labels."""

    plan: Plan
    cost_usd: float
    """Expected price of the step, US dollars."""
    loss: Loss
    """Against the incumbent."""


class Tally:
    """Sums over the labels of one plan on one identity."""

    __slots__ = ("announced_usd", "cost_usd", "doubt", "gain", "gain_squares", "guessed", "labels", "pairs", "score")

    def __init__(self) -> None:
        self.labels = 0.0
        self.score = 0.0
        self.pairs = 0.0
        """Labels on steps that have one of the default too; `gain` sums the differences."""
        self.gain = 0.0
        self.gain_squares = 0.0
        self.guessed = 0.0
        """Pairs whose difference is a guess: the proposal differed, and nobody knows whether it was right too."""
        self.cost_usd = 0.0
        self.announced_usd = 0.0
        """What was announced of the steps whose cost is in `cost_usd`."""
        self.doubt = 0.0
        """Variance that drift has added to what is believed."""

    def keep(self, share: float) -> None:
        """Discount all labels."""
        self.labels *= share
        self.score *= share
        self.keep_pairs(share)

    def keep_pairs(self, share: float) -> None:
        """Discount the differences to the default."""
        self.pairs *= share
        self.gain *= share
        self.gain_squares *= share
        self.guessed *= share


class Case:
    """All that is known of one identity.

    Args:
        task_type: what it borrows from.
        arms: its plans by name, the default first.
    """

    def __init__(self, task_type: str, arms: Mapping[str, Arm]) -> None:
        self.task_type = task_type
        self.arms = dict(arms)
        self.default = next(iter(self.arms))
        self.tallies: dict[str, Tally] = {name: Tally() for name in self.arms}
        self.announced_usd = {name: arm.cost_usd for name, arm in self.arms.items()}
        """Running mean of the prices that decisions announce: it follows a change of prices by itself."""
        self.steps = 0.0
        self.settled = False
        """Whether the default has had enough labels for anything else to be exploited; drift does not undo that."""
        self.announcements = 1
        self.agreed = 0.0
        """Labels of answers that both proposers gave; `agreed_score` sums them."""
        self.agreed_score = 0.0

    @property
    def proposers(self) -> tuple[str, ...]:
        """Models whose answers the default compares; names of their own plans."""
        plan = self.arms[self.default].plan
        return plan.models[:2] if plan.kind == "agree" else ()

    @property
    def family(self) -> tuple[str, ...]:
        """What it borrows from: identities with the same default whose kind of comparison is the same, by its prior.

        Where the default is a single model it is the task type that tells.
        """
        arm = self.arms[self.default]
        return (self.default, self.task_type) if arm.plan.kind == "single" else (self.default, *map(str, arm.loss))

    def record(self, scores: Mapping[str, Scored], weight: float) -> None:
        """Take in the labels of one step."""
        self.steps += weight
        base = scores.get(self.default)
        for name, scored in scores.items():
            tally = self.tallies.get(name)
            if tally is None:
                continue
            tally.doubt = tally.doubt * DOUBT_FADES if tally.doubt > LEAST_DOUBT else 0.0
            if base is None or name == self.default:
                tally.labels += weight
                tally.score += weight * scored.score
            else:
                _pair(tally, scored.score - base.score, weight)
            if scored.cost_usd is not None:
                tally.cost_usd += weight * scored.cost_usd
                tally.announced_usd += weight * self.announced_usd[name]
        if base is not None and self.proposers:
            self._compare(scores, base.score, weight)
        self.settled = self.settled or self.tallies[self.default].labels >= SETTLED

    def _compare(self, scores: Mapping[str, Scored], base: float, weight: float) -> None:
        one, other = (scores.get(name) for name in self.proposers)
        if one is not None and other is not None and one.score == other.score == base:
            self.agreed += weight
            self.agreed_score += weight * base
        guess = UNKNOWN_RIGHT if base < RIGHT else OTHER_FORM
        for name, own in zip(self.proposers, (one, other), strict=True):
            if own is None and name in self.tallies:
                _pair(self.tallies[name], guess - base, weight)
                self.tallies[name].guessed += weight

    def admit(self, arm: Arm) -> None:
        """Take in a plan that was not offered before."""
        name = str(arm.plan)
        if name not in self.arms:
            self.arms[name] = arm
            self.tallies[name] = Tally()
            self.announced_usd[name] = arm.cost_usd

    def dismiss(self, name: str) -> None:
        """Forget a plan."""
        del self.arms[name], self.tallies[name], self.announced_usd[name]

    def count_from(self, name: str) -> None:
        """Make another plan the default: what was known of differences to the former one is forgotten."""
        self.default = name
        self.agreed = self.agreed_score = 0.0
        self.settled = False
        for tally in self.tallies.values():
            tally.keep_pairs(0.0)

    def doubt(self, name: str, keep: float, variance: float) -> None:
        """Discount the labels of a plan and widen the belief; differences to a default that changed are old too."""
        self.tallies[name].doubt += variance
        for other, tally in self.tallies.items():
            if other == name:
                tally.keep(keep)
            elif name == self.default:
                tally.keep_pairs(keep)
        if name == self.default:
            self.agreed *= keep
            self.agreed_score *= keep

    def announce(self, arms: Iterable[Arm]) -> None:
        """Take in the prices that are announced for a step."""
        self.announcements += 1
        weight = max(RECENT, 1.0 / self.announcements)
        for arm in arms:
            name = str(arm.plan)
            if (before := self.announced_usd.get(name)) is not None:
                self.announced_usd[name] = before + weight * (arm.cost_usd - before)

    def cost_usd(self, name: str) -> float:
        """Expected cost of a plan per step: what is announced, corrected by what came of it before."""
        announced = self.announced_usd[name]
        return announced * self._dearer(self.tallies[name], name, self._dearer_at_all())

    def _dearer(self, tally: Tally, name: str, usual: float) -> float:
        """How much dearer a plan was than announced; with few labels, how much dearer all plans were."""
        prior = COST_LABELS * self.announced_usd[name]
        known = prior + tally.announced_usd
        return (prior * usual + tally.cost_usd) / known if known else 1.0

    def _dearer_at_all(self) -> float:
        """Of the single models: what a comparison costs hangs on how often they agree, which says nothing of others."""
        prior = COST_LABELS * self.announced_usd[self.default]
        single = [self.tallies[name] for name, arm in self.arms.items() if arm.plan.kind == "single"]
        announced = sum(tally.announced_usd for tally in single)
        paid = sum(tally.cost_usd for tally in single)
        return (prior + paid) / (prior + announced) if prior + announced else 1.0


def named(arms: Iterable[Arm]) -> dict[str, Arm]:
    """Return arms by the names of their plans."""
    return {str(arm.plan): arm for arm in arms}


def _pair(tally: Tally, gain: float, weight: float) -> None:
    tally.pairs += weight
    tally.gain += weight * gain
    tally.gain_squares += weight * gain * gain
