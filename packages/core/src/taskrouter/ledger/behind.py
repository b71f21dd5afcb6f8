"""Writing a log behind the calls: records wait in a bounded queue until whoever has a thread writes them in batches."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from taskrouter.errors import StoreUnavailable
from taskrouter.ledger.retention import Retention
from taskrouter.state import forks
from taskrouter.state.store import StateStore

logger = logging.getLogger("taskrouter.ledger")

QUEUED: Final = 10_000
"""Records that wait at most; what comes on top is dropped, and counted."""
BATCH: Final = 500
"""Records written at once; so many call for a batch before its time."""
UNREAD: Final = 2_000
"""Records that a store in memory keeps for whoever reads it next, about 10 MB."""

T = TypeVar("T")


class Behind(ABC, Generic[T]):
    """A log that is written behind the calls.

    `leave` never waits, and never raises. What lives in this process is kept as it is until somebody reads it.

    Args:
        store: keeps the log.
        log: its name.
        what: what its records are, for messages.
        retention: how much of it is kept.
        queued: records that wait at most.
        wake: asks for a `flush` soon.
    """

    def __init__(
        self,
        store: StateStore,
        log: str,
        what: str,
        *,
        retention: Retention,
        queued: int = QUEUED,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._log, self._what = store, log, what
        self._retention = retention
        self._limit = queued
        self.wake = wake
        self.written = 0
        """Records that the store has taken from this process."""
        self.dropped = 0
        """Records that were lost: too many waited, or one could not be made."""
        self._rest()
        forks.watch(self)

    def _rest(self) -> None:
        self._queue: deque[T] = deque()
        self._flushing = threading.Lock()
        # It may be taken twice: a stream that nobody holds any more ends wherever its garbage is collected.
        self._counting = threading.RLock()

    @abstractmethod
    def text(self, item: T) -> str:
        """Return the record of what was left; it is asked when the record is written."""

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return len(self._queue)

    def leave(self, make: Callable[[], T]) -> None:
        """Leave a record to be written.

        Args:
            make: returns what it is made of.
        """
        try:
            item = make()
            if not self._store.shared:
                self._remember(item)
            elif len(self._queue) >= self._limit:
                self._drop(f"more than {self._limit} {self._what} wait for the ledger; further ones are dropped")
            else:
                self._queue.append(item)
                if len(self._queue) == BATCH:
                    self.wake()
        except Exception as error:  # noqa: BLE001 - the ledger may fail; the user's call does not
            self._drop(f"{self._what} could not be put into the ledger: {type(error).__name__}")

    def _remember(self, item: T) -> None:
        """Keep a record in this process, unwritten until somebody reads: most never are, and writing takes longer."""
        with self._counting:
            self.written += 1
            self._queue.append(item)
            while len(self._queue) > min(self._retention.keep, UNREAD):
                self._queue.popleft()

    def flush(self) -> None:
        """Write what waits, and forget what is not to be kept any longer.

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
                    self._drop(f"{self._what} could not be put into the ledger: {type(error).__name__}", len(batch))
                else:
                    self._retention.trim(self._store)
            if getattr(self._store, "available", True):
                self._retention.trim(self._store)

    def before_fork(self) -> None:
        """Do nothing: what a child takes over is made anew there."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Forget what waits: it is the parent's to write, and its threads may have held any lock."""
        self._rest()

    def _append(self, batch: Sequence[T]) -> None:
        texts = [text for item in batch if (text := self._text_or_none(item)) is not None]
        self._store.append(self._log, texts)
        self._retention.wrote(texts)
        if self._store.shared:
            with self._counting:
                self.written += len(texts)

    def _text_or_none(self, item: T) -> str | None:
        """Return the record; one that cannot be made costs itself and not its batch."""
        try:
            return self.text(item)
        except Exception as error:  # noqa: BLE001 - the ledger may fail; it would fail again
            self._drop(f"{self._what} could not be put into the ledger: {type(error).__name__}")
            return None

    def _drop(self, message: str, count: int = 1) -> None:
        with self._counting:
            first = self.dropped == 0
            self.dropped += count
        if first:
            logger.warning(message)
