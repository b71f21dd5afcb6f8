"""What is known of quality, and which decisions should be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from taskrouter.calibration.report import Interval

Standing: TypeAlias = Literal["model", "incumbent", "routed"]
"""What a point of the frontier is: one model for everything, the incumbent among them, or the steps as they went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labels of one step identity."""

    identity: str
    steps: int
    labelled: int
    score: Interval | None
    needed: int
    """Further labels until a plan of its own can rest on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What labels say, and where they are missing."""

    steps: int
    """Answered steps."""
    labelled: int
    score: Interval | None
    identities: tuple[Labelled, ...]
    """Most steps first."""
    enough: int
    """Labels that a plan of an identity needs."""
    warm: int
    """Labels in all before anything is learned online."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place in the plane of cost and quality."""

    name: str
    standing: Standing
    cost_usd: float | None
    """Mean per step."""
    labels: int
    score: Interval | None
    """Mean of labels."""
    expected: float | None
    """Quality that was announced when the steps were decided, mean."""
    measured: bool
    """Whether there are labels enough to place it by them, and not by what was expected."""
    covered: float
    """Share of the steps that are of an identity with labels of it: its labels are of other steps than another's."""

    @property
    def quality(self) -> float | None:
        """By which it is placed."""
        if self.measured or self.expected is None:
            return None if self.score is None else self.score.mean
        return self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Noteworthy:
    """A decision that somebody should look at."""

    id: str
    at_s: float
    agent: str | None
    node: str | None
    tenant: str | None
    task_type: str
    plan: str
    model: str | None
    """Who answered."""
    status: str
    cost_usd: float | None
    confidence: float
    """Of the task type."""
    width: float | None
    """Of the 95 % interval of its expected loss."""
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of policy and pool that has decided steps."""

    policy: str
    version: str
    steps: int
    first_s: float
    last_s: float
    prices_known: bool
    """Whether the ledger has the pool that it chose from."""
