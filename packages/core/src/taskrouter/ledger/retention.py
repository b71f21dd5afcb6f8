"""How much of a log is kept: by number, by size and by age."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from taskrouter.state.store import StateStore

SLACK: Final = 20
"""A log grows by one part in this many beyond what is to be kept, before it is trimmed."""
LOOK_S: Final = 3600.0
"""Seconds between two looks for what is too old, however little is written."""
ROOM: Final = 1.5
"""What a store needs for a record, as a multiple of its text: a SQLite file 1.2 to 1.8, by how records fill pages."""
RECENT: Final = 1000
"""Records over which the mean size is taken, about."""
DAY_S: Final = 86_400.0


class Retention:
    """Trims one log, when there is so much too much that it is worth a transaction.

    Args:
        log: the log.
        keep: records to keep, about.
        days: forget what is older; None: age does not matter.
        megabytes: room that the log may take, about, from the mean size of what this process writes; None: any.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        log: str,
        *,
        keep: int,
        days: float | None = None,
        megabytes: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log, self._keep, self._days, self._megabytes, self._clock = log, keep, days, megabytes, clock
        self._mean = 0.0
        self._since = keep  # the first look trims what earlier processes left
        self._next_look_s = 0.0

    @property
    def keep(self) -> int:
        """How many records are kept, about, as far as their size is known."""
        if self._megabytes is None or not self._mean:
            return self._keep
        return min(self._keep, max(1, int(self._megabytes * 1e6 / (self._mean * ROOM))))

    @property
    def lasts_s(self) -> float | None:
        """How long a record is kept at most, seconds."""
        return None if self._days is None else self._days * DAY_S

    def wrote(self, texts: Sequence[str]) -> None:
        """Take note of records that were written."""
        self._since += len(texts)
        weight = min(1.0, len(texts) / RECENT) if self._mean else 1.0
        if texts:
            self._mean += weight * (sum(map(len, texts)) / len(texts) - self._mean)

    def trim(self, store: StateStore) -> None:
        """Forget the oldest records, if it is time.

        Raises:
            StoreUnavailable: the store is away.
        """
        now_s, lasts_s = self._clock(), self.lasts_s
        many, old = self._since > self.keep // SLACK, lasts_s is not None and now_s >= self._next_look_s
        if many or old:
            store.trim(self._log, keep=self.keep, before_s=None if lasts_s is None else now_s - lasts_s)
            self._since, self._next_look_s = 0, now_s + LOOK_S
