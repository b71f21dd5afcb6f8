"""What a report says, as values: every figure with its unit, unknown as None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from taskrouter.calibration.report import Interval
from taskrouter.reporting.amounts import Day, Money
from taskrouter.reporting.counts import Breaker, Failure, Group, Latency, ModelFigures, Refusal, Served, Steps
from taskrouter.reporting.judged import Coverage, Noteworthy, Point, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the ledger says of a stretch of time."""

    since_s: float
    """Start of the window, seconds since the epoch; 0: from the first record."""
    until_s: float
    first_s: float | None
    """The first record within it; None: there is none."""
    last_s: float | None
    tenant: str | None
    agent: str | None
    """What it was narrowed to."""
    steps: Steps
    money: Money
    days: tuple[Day, ...]
    groups: Mapping[str, tuple[Group, ...]]
    """By `agent`, `node`, `task`, `tenant`; largest spend first."""
    models: tuple[ModelFigures, ...]
    latency: Latency
    """Of answered steps, from the request to the whole answer."""
    first_token: Latency
    """Of streamed answers that were taken."""
    failures: tuple[Failure, ...]
    refusals: tuple[Refusal, ...]
    breakers: tuple[Breaker, ...]
    served: Served
    labels: Coverage
    frontier: tuple[Point, ...]
    hull: tuple[str, ...]
    """Models of the frontier that no mixture of others beats, cheapest first."""
    dearest: tuple[Noteworthy, ...]
    least_certain: tuple[Noteworthy, ...]
    """Widest interval of the expected loss first; of equal ones the lowest confidence."""
    versions: tuple[Version, ...]
    unreadable: Mapping[str, int]
    """Rows that could not be read, by log; they are in no figure."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to report."""
        return not (self.steps.total or self.steps.trials or self.steps.refused)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        document = _plain(asdict(self))
        document["steps"]["answered"] = self.steps.answered
        document["money"]["check"]["ratio"] = self.money.check.ratio
        for row, one in zip(document["labels"]["identities"], self.labels.identities, strict=True):
            row["score"] = _interval(one.score)
        document["labels"]["score"] = _interval(self.labels.score)
        for row, point in zip(document["frontier"], self.frontier, strict=True):
            row["score"] = _interval(point.score)
        return document  # type: ignore[no-any-return] # a mapping stays a mapping


def _interval(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else interval._asdict()


def _plain(value: Any) -> Any:
    """Turn tuples into lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
