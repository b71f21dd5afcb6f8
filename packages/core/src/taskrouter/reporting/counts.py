"""How steps and calls went: counts, rates, times, and what was broken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How the steps went."""

    total: int
    """Steps of the application: every one that led to a call. Trials and refused steps are not among them."""
    fallback: int
    """Answered by a model outside the plan, because those in it failed."""
    escalated: int
    """A check did not pass, and a further model was asked."""
    exhausted: int
    """Nobody answered."""
    cancelled: int
    """Given up by the caller."""
    refused: int
    """Could not be decided, so that nothing was called."""
    trials: int
    """Plans that were tried beside the steps: by shadows, judges, calibration."""

    @property
    def answered(self) -> int:
        """Steps that a model has answered."""
        return self.total - self.exhausted - self.cancelled

    def share(self, count: int) -> float | None:
        """Return a count as a share of the steps."""
        return count / self.total if self.total else None

    @property
    def refused_share(self) -> float | None:
        """Share of refused steps among all that were asked for."""
        asked = self.total + self.refused
        return self.refused / asked if asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long something took, seconds; None where nothing was measured."""

    count: int
    mean_s: float | None
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The steps of one agent, node, task type or tenant."""

    name: str
    steps: int
    spend_usd: float
    """With failed calls and trials."""
    unpriced_calls: int
    share: float | None
    """Of the whole spend."""
    saved_usd: float | None
    """Against the incumbent, net; None where nothing could be compared."""
    mean_s: float | None
    p95_s: float | None
    error_rate: float | None
    """Share of steps that nobody answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """The calls to one model, trials among them."""

    model: str
    calls: int
    answers: int
    """Steps that took its answer."""
    spend_usd: float
    unpriced_calls: int
    share: float | None
    saved_usd: float | None
    """Of the steps that it answered, with all their calls."""
    error_rate: float | None
    """Share of failed calls."""
    latency: Latency
    first_token: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Failed calls of one kind."""

    model: str
    error_type: str
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Steps that could not be decided, by why."""

    error_type: str
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A breaker that changed."""

    at_s: float
    state: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The history of one endpoint's breaker."""

    endpoint: str
    now: str
    """Its state at the end: `closed`, `open` or `down`."""
    opened: int
    out_s: float
    """Time within the window during which it let nothing through, seconds."""
    shifts: tuple[Shift, ...]
    """The latest, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Answers of another model than was asked for."""

    model: str
    """Id in the pool."""
    asked: str
    served: str
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Whether providers have served the models that they were asked for."""

    compared: int
    """Calls where that can be told."""
    unknown: int
    """Answered calls where it cannot: no name came, or the asked one is a deployment's."""
    mismatches: tuple[Mismatch, ...]

    @property
    def calls(self) -> int:
        """Calls that another model has answered."""
        return sum(mismatch.calls for mismatch in self.mismatches)
