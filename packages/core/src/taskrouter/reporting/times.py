"""How long things took: every measurement is kept, in eight bytes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from taskrouter.reporting.counts import Latency


class Times:
    """Collects seconds."""

    __slots__ = ("_seconds", "total_s")

    def __init__(self) -> None:
        self._seconds = array("d")
        self.total_s = 0.0

    def add(self, seconds: float | None) -> None:
        """Add a measurement; None is none."""
        if seconds is not None:
            self._seconds.append(seconds)
            self.total_s += seconds

    @property
    def mean_s(self) -> float | None:
        """The mean."""
        return self.total_s / len(self._seconds) if self._seconds else None

    def quantiles(self, shares: Iterable[float]) -> list[float | None]:
        """Return quantiles, interpolated between neighbours; None where nothing was measured."""
        ordered = sorted(self._seconds)
        return [_quantile(ordered, share) for share in shares]

    def latency(self) -> Latency:
        """Return what is reported."""
        p50, p90, p95, p99 = self.quantiles((0.5, 0.9, 0.95, 0.99))
        return Latency(count=len(self._seconds), mean_s=self.mean_s, p50_s=p50, p90_s=p90, p95_s=p95, p99_s=p99)


def _quantile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
