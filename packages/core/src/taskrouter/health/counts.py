"""Calls and faults within a sliding window, in constant memory."""

from __future__ import annotations

BUCKETS = 10
"""The window moves on in tenths: it covers between nine tenths and the whole of its length."""


class Counts:
    """Counts calls, and the faults among them, of the last `window_s` seconds."""

    __slots__ = ("_bucket_s", "_calls", "_faults", "_newest", "calls", "faults")

    def __init__(self, window_s: float) -> None:
        self._bucket_s = window_s / BUCKETS
        self._newest = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._calls = [0] * BUCKETS
        self._faults = [0] * BUCKETS
        self.calls = 0
        """Calls within the window."""
        self.faults = 0
        """Those of them that failed."""

    def add(self, now_s: float, fault: int) -> None:
        """Count a call; `fault` is 1 if it failed, else 0."""
        number = int(now_s / self._bucket_s)
        if number > self._newest:
            self._move_on(number)
        place = self._newest % BUCKETS  # a clock that was read a moment earlier, by another thread, counts as now
        self._calls[place] += 1
        self._faults[place] += fault
        self.calls += 1
        self.faults += fault

    def look(self, now_s: float) -> None:
        """Forget what has left the window."""
        number = int(now_s / self._bucket_s)
        if number > self._newest:
            self._move_on(number)

    def _move_on(self, number: int) -> None:
        for step in range(self._newest + 1, min(number, self._newest + BUCKETS) + 1):
            place = step % BUCKETS
            self.calls -= self._calls[place]
            self.faults -= self._faults[place]
            self._calls[place] = self._faults[place] = 0
        self._newest = number
