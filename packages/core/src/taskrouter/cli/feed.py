"""Following a ledger while it grows, also past the hours in which its store is away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from taskrouter.cli.passing import WINDOW_S, Passing
from taskrouter.cli.stores import Place, open_ledger
from taskrouter.errors import ConfigurationError, StoreUnavailable
from taskrouter.ledger import Ledger, Record
from taskrouter.state.opening import existing


class Away(NamedTuple):
    """A store that could not be read."""

    since_s: float
    """Seconds since the epoch."""
    why: str


class Feed:
    """Reads what is new in a ledger, and keeps what has passed lately.

    Args:
        place: where the ledger is.

    Raises:
        ConfigurationError: there is none.
        StoreUnavailable: it cannot be reached at the beginning; later that is told by `away`.
    """

    def __init__(self, place: Place) -> None:
        self.passing = Passing()
        self.away: Away | None = None
        """Since when the store cannot be read; None: it can."""
        self._place = place
        self._ledger: Ledger | None = open_ledger(place)
        self._step = self._ledger.before_last(self.passing.kept)
        self._event: str | None = None

    @property
    def unreadable(self) -> int:
        """Rows that were left out because they could not be read."""
        return 0 if self._ledger is None else self._ledger.unreadable.total()

    def poll(self, now_s: float, seen: Callable[[Record], None] = lambda _: None) -> None:
        """Read on; while the store is away, there is nothing to be read.

        Args:
            now_s: seconds since the epoch.
            seen: is told every record that is new.
        """
        try:
            existing(self._place.url)  # a file that was removed can still be read, and nothing more will come
            if self._ledger is None:
                self._ledger = open_ledger(self._place)
                self._step = self._ledger.before_last(self.passing.kept)
            self._read_on(self._ledger, now_s, seen)
        except (StoreUnavailable, ConfigurationError) as error:
            self._begin_anew()
            self.away = self.away or Away(now_s, str(error))
        else:
            self.away = None

    def close(self) -> None:
        """Close the store."""
        if self._ledger is not None:
            with suppress(StoreUnavailable):
                self._ledger.close()

    def _begin_anew(self) -> None:
        """Let go of the store. The one that comes back may be another one, whose positions mean something else."""
        self.close()
        self._ledger = self._step = self._event = None

    def _read_on(self, ledger: Ledger, now_s: float, seen: Callable[[Record], None]) -> None:
        since_s = now_s - WINDOW_S
        while (page := ledger.later(self._step, since_s=since_s))[0] != self._step:
            self._step, records = page
            if any(record.policy_version not in self.passing.pools for record in records):
                self.passing.pools = ledger.pools()
            for record in self.passing.add(records, now_s):
                seen(record)
        while (told := ledger.later_events(self._event, since_s=since_s))[0] != self._event:
            self._event = told[0]
            self.passing.told(told[1])
        self.passing.add([], now_s)
