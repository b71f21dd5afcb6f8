"""Money in a report: what was spent, and what it would have been. Unknown is None."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A figure with its 95 % interval, which is None where there are too few runs to tell."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One kind of call in the bill."""

    kind: str
    """`answers`: what was taken. All others are extra: `proposals`, `replaced`, `failed`, `cancelled`, `hedges`, and
    `trial: ...` by what a trial was made for."""
    calls: int
    spend_usd: float
    """As far as prices are known."""
    unpriced: int
    """Calls whose price is unknown; they are not in the spend."""
    compared_usd: float
    """The part of the spend that is in the comparison with the incumbent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """One model of the pool for every step, at its prices for the tokens of the answers that were taken."""

    model: str
    cost_usd: float | None
    """For all compared steps; None where it could not be reckoned for each of them."""
    mean_usd: float | None
    """Per step, over those it could be reckoned for."""
    saved_usd: Range | None
    """What routing has saved against it, net; negative: routing has cost more."""
    saving: Range | None
    """The same as a share of its cost."""
    missing: int
    """Compared steps for which it could not be reckoned: it was not in their pool, or its price is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the incumbent did cost where it was called beside the answer that was taken, against what was reckoned."""

    steps: int
    actual_usd: float
    reckoned_usd: float

    @property
    def ratio(self) -> float | None:
        """Actual over reckoned: above 1 the saving is understated, below 1 overstated."""
        return self.actual_usd / self.reckoned_usd if self.reckoned_usd else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What was spent, and what it would have been."""

    spend_usd: float
    """Every call of every kind, as far as prices are known."""
    unpriced_calls: int
    lines: tuple[Line, ...]
    incumbents: tuple[str, ...]
    """The incumbents of the steps, most frequent first; usually one."""
    compared_steps: int
    """Answered steps in the comparison: all their prices are known, the incumbent's too."""
    left_out_steps: int
    """Steps and trials that are in no comparison because a price is unknown; their known part is in the spend."""
    compared_usd: float
    """What the comparison charges: all calls of its steps, of unanswered ones and of trials."""
    baseline_usd: float
    """What the incumbent would have cost for the same answers."""
    saved_usd: Range | None
    saving: Range | None
    """`saved_usd` as a share of `baseline_usd`; None where that is zero."""
    alone: tuple[Alone, ...]
    """Every model of the pool by itself, cheapest first."""
    best_single: str | None
    """The model with the best labels; None: too few labels to say."""
    check: Check
    clusters: int
    """Runs that were resampled for the intervals; a step without a run is one by itself, with its trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day, in UTC."""

    date: str
    steps: int
    spend_usd: float
    compared_usd: float
    baseline_usd: float
