"""How long calls have taken lately."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

KEPT = 128
"""How many of the last calls are looked at: enough for a 99th percentile, few enough to follow a change."""
KEPT_S = 3600.0
"""What is older is dropped when the next call is added."""
MIN_MEDIAN = 5
"""Calls that a median needs."""
MIN_TAIL = 20
"""Calls that a quantile above the median needs."""


class Latencies:
    """The latencies of the last calls, in the order they came and sorted by length."""

    __slots__ = ("_recent", "_sorted")

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def add(self, now_s: float, latency_s: float) -> None:
        """Add a call; a latency that is no length of time is ignored."""
        if not 0.0 <= latency_s < math.inf:
            return
        recent = self._recent
        while recent and (len(recent) >= KEPT or recent[0][0] < now_s - KEPT_S):
            del self._sorted[bisect_left(self._sorted, recent.popleft()[1])]
        recent.append((now_s, latency_s))
        insort(self._sorted, latency_s)

    def quantile(self, share: float) -> float | None:
        """Return the latency that this share of the calls stayed within, or None with too few calls to tell."""
        if len(self._sorted) < (MIN_MEDIAN if share <= 0.5 else MIN_TAIL):
            return None
        return _nearest(self._sorted, share)

    def median_after(self, start_s: float) -> float | None:
        """Return the median of the calls that ended after that, or None with too few to tell."""
        if self._recent and self._recent[0][0] > start_s:  # all of them: they are sorted already
            return _nearest(self._sorted, 0.5) if len(self._sorted) >= MIN_MEDIAN else None
        lately = []
        for at_s, latency_s in reversed(self._recent):
            if at_s <= start_s:
                break
            lately.append(latency_s)
        return _nearest(sorted(lately), 0.5) if len(lately) >= MIN_MEDIAN else None


def _nearest(ordered: list[float], share: float) -> float:
    """Return the quantile by the nearest rank: always a latency that was observed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
