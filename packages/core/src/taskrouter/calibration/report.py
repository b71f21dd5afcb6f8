"""What came of a calibration: each model's quality with its interval, each identity's plan before and now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from taskrouter.decision import Z95

WORKS_FROM: Final = 5
"""Labels from which an identity gets a plan of its own."""
GOOD_FROM: Final = 20
"""Labels below which that rests on little."""

Standing: TypeAlias = Literal["too few", "few", "unsure", "good"]
"""How far an identity's plan can be trusted. `too few`: below 5 labels it has none of its own. `few`: below 20 it may
still change. `unsure`: the interval of its loss reaches beyond what is accepted. `good`: none of these."""


class Interval(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """One model on the cases."""

    model: str
    incumbent: bool
    new: bool
    """Whether nothing was known of it before, while others had labels."""
    graded: int
    quality: Interval | None
    """Mean score; None where nothing was graded."""
    gain: Interval | None
    """Mean score minus the incumbent's on the same cases; None where they share none."""
    cost_usd: float | None
    """Mean per case; None where it is unknown."""
    failed: dict[str, int]
    """Calls without an answer, by kind; each will be tried again."""
    skipped: dict[str, int]
    """Answers that could not be graded, by reason."""
    barred: dict[str, int]
    """Cases that it may not take, by code."""
    said: str | None = None
    """Why it was not called any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityReport:
    """One step identity."""

    identity: str
    cases: int
    """Cases of the suite."""
    labels: int
    """Labelled steps that its plan rests on, from whatever source."""
    before: str
    """Plan before, with shares where its steps are divided; `as without labels` where it had none of its own."""
    now: str
    """The same now."""
    loss: Interval | None
    """What the plan now is expected to lose against the incumbent; None without one."""
    standing: Standing

    @property
    def changed(self) -> bool:
        """Whether its steps go elsewhere now."""
        return self.before != self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """What came of a calibration."""

    suite: str
    cases: int
    incumbent: str
    models: tuple[ModelReport, ...]
    identities: tuple[IdentityReport, ...]
    asked: int
    """Answers that were paid in this run."""
    known: int
    """Results that were there before and cost nothing."""
    regraded: int
    """Answers that were there before and were graded in this run."""
    undone: int
    """Pairs of case and model that were not sent."""
    stopped: str | None
    """Why: `budget`, `interrupted`; None: everything was done."""
    cost_usd: float
    """Of this run, judges included, as far as prices are known."""
    unpriced: int
    """Calls whose price is unknown."""
    budget_usd: float | None
    taught: int
    """Cases that taught something new."""
    kept: bool
    """Whether the store has what was taught; without a shared `[state]` it is only this process's."""
    labels: int
    """Labelled steps that are learned from now."""
    notes: tuple[str, ...] = ()
    """What its user should be told."""

    @property
    def changed(self) -> int:
        """Identities whose steps go elsewhere now."""
        return sum(identity.changed for identity in self.identities)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        data = asdict(self)
        data["models"] = [{**asdict(model), **_intervals(model, "quality", "gain")} for model in self.models]
        data["identities"] = [
            {**asdict(one), **_intervals(one, "loss"), "changed": one.changed} for one in self.identities
        ]
        data["notes"] = list(self.notes)
        return data


def quality_of(scores: Sequence[float]) -> Interval | None:
    """Return a mean score with its interval by Wilson (JASA 1927), which holds for few labels too.

    Scores that are neither 0 nor 1 vary less than it takes them to.
    """
    n = len(scores)
    if not n:
        return None
    mean, z2 = sum(scores) / n, Z95 * Z95
    middle = (mean + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(mean * (1 - mean) / n + z2 / (4 * n * n))
    return Interval(mean, max(0.0, middle - half), min(1.0, middle + half))


def gain_of(gains: Sequence[float]) -> Interval | None:
    """Return a mean difference with its interval, as if one more case had come out wholly otherwise."""
    n = len(gains)
    if not n:
        return None
    mean = sum(gains) / n
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) + 1.0) / n
    return Interval(mean, max(-1.0, mean - Z95 * error), min(1.0, mean + Z95 * error))


def _intervals(of: ModelReport | IdentityReport, *names: str) -> dict[str, Any]:
    found: dict[str, Interval | None] = {name: getattr(of, name) for name in names}
    return {name: None if interval is None else interval._asdict() for name, interval in found.items()}
