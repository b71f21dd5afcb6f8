"""Writing the ledger behind the calls: a step leaves its record in a bounded queue, and a thread writes batches."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from taskrouter.errors import StoreUnavailable
from taskrouter.learning import Identity
from taskrouter.ledger.record import DECISIONS, Noted, noted, record_of
from taskrouter.outcome import Outcome
from taskrouter.state import forks
from taskrouter.state.store import StateStore
from taskrouter.step import Step

logger = logging.getLogger("taskrouter.ledger")

QUEUED: Final = 10_000
"""Records that wait at most; what comes on top is dropped, and counted."""
BATCH: Final = 500
"""Records written at once; so many call for a batch before its time."""
SLACK: Final = 20
"""The log grows by one part in this many beyond what is to be kept, before it is trimmed."""


class LedgerWriter:
    """Appends the records of answered steps to the log of decisions.

    `note` is all that a step's thread does: it never waits, and never raises. Whoever has a thread calls `flush`. A
    store that lives in this process is written at once.

    Args:
        store: keeps the log.
        keep: decisions to keep, about.
        queued: records that wait at most.
        wake: asks for a `flush` soon.
    """

    def __init__(
        self, store: StateStore, *, keep: int, queued: int = QUEUED, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._keep = keep
        self._limit = queued
        self.wake = wake
        self.written = 0
        """Records that the store has taken from this process."""
        self.dropped = 0
        """Records that were lost: too many waited, or one could not be made."""
        self._since_trim = keep  # the first batch trims what earlier processes left
        self._rest()
        forks.watch(self)

    def _rest(self) -> None:
        self._queue: deque[Noted] = deque()
        self._flushing = threading.Lock()
        self._counting = threading.Lock()

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return len(self._queue)

    def note(self, step: Step, outcome: Outcome[Any], identity: Identity) -> None:
        """Leave the record of an answered step to be written."""
        try:
            known = noted(step, outcome, identity, time.time())
            if not self._store.shared:
                self._append([known])
                self._trim()
            elif len(self._queue) >= self._limit:
                self._drop("more than %d decisions wait for the ledger; further ones are dropped", self._limit)
            else:
                self._queue.append(known)
                if len(self._queue) == BATCH:
                    self.wake()
        except Exception as error:  # noqa: BLE001 - the ledger may fail; the user's call does not
            self._drop("a decision could not be put into the ledger: %s", type(error).__name__)

    def flush(self) -> None:
        """Write what waits.

        Raises:
            StoreUnavailable: the store is away; the records wait on.
        """
        with self._flushing:
            # What waits inside a resilient store is bounded too, and labels are worth more than decisions.
            while self._queue and getattr(self._store, "available", True):
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                try:
                    self._append(batch)
                except StoreUnavailable:
                    self._queue.extendleft(reversed(batch))
                    raise
                except Exception as error:  # noqa: BLE001 - it would fail again, and hold up all that come after it
                    self._drop("decisions could not be put into the ledger: %s", type(error).__name__, len(batch))
                else:
                    self._trim()

    def before_fork(self) -> None:
        """Do nothing: what a child takes over is made anew there."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Forget what waits: it is the parent's to write, and its threads may have held any lock."""
        self._rest()

    def _append(self, batch: list[Noted]) -> None:
        self._store.append(DECISIONS, [json.dumps(record_of(known)) for known in batch])
        with self._counting:
            self.written += len(batch)
            self._since_trim += len(batch)

    def _trim(self) -> None:
        """Forget the oldest decisions, when there are so many too many that it is worth a transaction."""
        if self._since_trim > self._keep // SLACK:
            self._store.trim(DECISIONS, keep=self._keep)
            self._since_trim = 0

    def _drop(self, message: str, subject: object, count: int = 1) -> None:
        with self._counting:
            first = self.dropped == 0
            self.dropped += count
        if first:
            logger.warning(message, subject)
