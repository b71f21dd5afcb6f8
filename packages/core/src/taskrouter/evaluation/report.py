"""The result of an evaluation: `Report`, and the document that `--json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from taskrouter.evaluation.baselines import Level, Single
from taskrouter.evaluation.intervals import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyScore(Level):
    """One policy, beside the incumbent. Means are per prompt and every call is charged."""

    name: str
    delta_points: float
    """Mean score minus the incumbent's, in points (hundredths)."""
    delta_ci: Interval
    """95 % interval of `delta_points`."""
    saving: float | None
    """1 - cost over the incumbent's cost; None where the incumbent costs nothing."""
    saving_ci: Interval | None
    calls_per_prompt: float
    latency_p50_s: float | None
    """None where the recordings do not say."""
    latency_p95_s: float | None
    plans: dict[str, float]
    """Share of the prompts that each plan was chosen for, most frequent first."""

    @property
    def worse(self) -> bool:
        """Whether the policy scores significantly less than the incumbent: the whole interval lies below zero."""
        return self.delta_ci[1] < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `taskrouter evaluate` found."""

    prompts: int
    train_prompts: int
    models: tuple[str, ...]
    dropped_models: tuple[str, ...]
    """Models that not every prompt has an outcome of."""
    incumbent: Single
    singles: tuple[Single, ...]
    """Every model alone, best first."""
    hull: tuple[Single, ...]
    """The models on the convex hull of score over cost, cheapest first."""
    oracle: Level
    random: Level
    policies: tuple[PolicyScore, ...]
    step_identity: bool
    seed: int
    overlap: int
    """Test prompts that were among the training prompts too."""
    unroutable: int
    """Test prompts that the router refused and that therefore stayed with the incumbent."""

    @property
    def leak(self) -> bool:
        """Whether test prompts were seen in training, so that policies with labels look better than they are."""
        return self.overlap > 0

    def policy(self, name: str) -> PolicyScore:
        """Return the policy of that name."""
        return next(policy for policy in self.policies if policy.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        document = asdict(self)
        for place, policy in zip(document["policies"], self.policies, strict=True):
            place["worse"] = policy.worse
        return _plain({**document, "leak": self.leak})  # type: ignore[no-any-return] # a mapping stays a mapping


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile, interpolated between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _plain(value: Any) -> Any:
    """Turn tuples into lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
