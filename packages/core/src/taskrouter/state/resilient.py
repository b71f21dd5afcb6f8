"""A shared store that may go away: the work goes on with what this process knows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from taskrouter.errors import ConfigurationError, StoreUnavailable, TaskRouterError
from taskrouter.state import forks
from taskrouter.state.backlog import Backlog
from taskrouter.state.memory import MemoryStore
from taskrouter.state.shares import Shares
from taskrouter.state.store import Claim, Entry, LogRecord, Report, StateStore

logger = logging.getLogger("taskrouter.state")
T = TypeVar("T")
PASSES = 3


class ResilientStore:
    """A `StateStore` that goes on with local state while the one it wraps is away.

    Whoever meets the outage waits once for the wrapped store's time limit. From then on nobody waits: calls are
    answered from memory, while a thread tries the store every `retry_s` seconds. When it is back, that thread reports
    what this process has used, waits until the other processes will have done so too (twice `retry_s`), writes what
    waits, and only then calls go to the store again. A store that knows of fewer owners of an account than it did has
    lost its memory, and is treated in the same way.

    While away,

    - `put` and `entries` work on a copy of what was last read and written here;
    - `claim` grants this process its share of what was left of a limit when the store was last seen (`Shares`);
    - `append` keeps records in memory. They are counted by `pending` and are *not* durable until the store has them;
      when there are too many, the oldest are dropped. A record may arrive twice: once by the call whose answer was
      lost, once from here;
    - `read` raises `StoreUnavailable`, for only the store knows the logs, and `trim` does nothing.

    A `ConfigurationError` is raised as long as the store has never answered. Later it counts as an outage: then the
    address was right once, and something is wrong with what now answers there.

    Args:
        store: the shared store. It is closed with this one.
        retry_s: pause between two attempts to reach it.
        queued_records: how many log records wait at most. 0: none, `append` raises `StoreUnavailable` while away.
    """

    def __init__(self, store: StateStore, *, retry_s: float = 1.0, queued_records: int = 10_000) -> None:
        self.name = store.name
        self.shared = store.shared
        self._store = store
        self._retry_s = retry_s
        self._queued_records = queued_records
        self._shadow = MemoryStore()
        self._reached = False
        self._begin()
        forks.watch(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._available = True
        self._returns = 0
        self._away_since_s = 0.0
        self._shares = Shares()
        self._backlog = Backlog(self._queued_records)

    @property
    def available(self) -> bool:
        """Whether calls go to the shared store at the moment."""
        return self._available

    @property
    def pending(self) -> int:
        """How many log records wait in memory for the store."""
        return len(self._backlog)

    @property
    def dropped(self) -> int:
        """How many log records were lost because too many waited."""
        return self._backlog.dropped

    def put(self, space: str, entries: Mapping[str, Entry | None]) -> None:
        """Write entries of a space; None removes one."""
        self._shadow.put(space, entries)
        self._do(lambda: self._store.put(space, entries), lambda: self._backlog.put(space, entries))

    def entries(self, space: str) -> Mapping[str, Entry]:
        """Return the entries of a space that have not expired; while away, as they were last seen."""
        return self._do(lambda: self._read_entries(space), lambda: self._shadow.entries(space))

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        """Write what an owner has used, all of it or, if a limit would be broken, nothing.

        Raises:
            ValueError: a claim is negative or too large, or an account is claimed twice.
        """
        wanted = tuple(claims)
        return self._do(lambda: self._claim(owner, wanted), lambda: self._shares.claim(owner, wanted))

    def append(self, log: str, texts: Sequence[str]) -> None:
        """Add records to a log. They are durable when `pending` is 0.

        Raises:
            StoreUnavailable: the store is away, and no records may wait.
        """
        written = tuple(texts)
        self._do(lambda: self._store.append(log, written), lambda: self._queue(log, written))

    def read(self, log: str, *, after: str | None = None, limit: int = 1000) -> Sequence[LogRecord]:
        """Return records in their order, from the first or from the one after a position.

        Raises:
            StoreUnavailable: the store is away.
        """
        return self._do(lambda: self._store.read(log, after=after, limit=limit), self._unavailable)

    def trim(self, log: str, *, keep: int | None = None, before_s: float | None = None) -> None:
        """Forget the oldest records of a log, by their number, their age or both; while away, nothing."""
        self._do(lambda: self._store.trim(log, keep=keep, before_s=before_s), lambda: None)

    def close(self) -> None:
        """Try once more to write what waits, then close the store."""
        self._closing.set()
        if (thread := self._thread) is not None:
            thread.join()
        if not self._available and not self._come_back() and self.pending:
            logger.warning(
                "shared state (%s) is closed while it is away: %d log records are lost", self.name, self.pending
            )
        self._store.close()

    def before_fork(self) -> None:
        """Do nothing: what a child takes over is made anew there."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Forget what was used and what waits: both are the parent's to report."""
        self._begin()

    def _do(self, remotely: Callable[[], T], locally: Callable[[], T]) -> T:
        while True:
            if self._available:
                returns = self._returns
                try:
                    result = remotely()
                except StoreUnavailable as error:
                    self._leave(error, returns)
                except ConfigurationError as error:
                    if not self._reached:
                        raise
                    self._leave(error, returns)
                else:
                    self._reached = True
                    return result
            with self._lock:  # so that nothing is kept here after the thread has written all that was
                if not self._available:
                    return locally()

    def _read_entries(self, space: str) -> Mapping[str, Entry]:
        read = self._store.entries(space)
        gone = self._shadow.entries(space).keys() - read.keys()
        self._shadow.put(space, {**dict.fromkeys(gone), **read})
        return read

    def _claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        report = self._store.claim(owner, claims)
        if self._shares.forgotten(owner, claims, report):
            # At once: those who have not noticed go on with the store, and must not take what is used here meanwhile.
            self._shares.announce(self._store)
            raise StoreUnavailable("it has forgotten what others have used, and is told again")
        self._shares.note(owner, claims, report)
        return report

    def _queue(self, log: str, texts: Sequence[str]) -> None:
        if not self._queued_records:
            self._unavailable()
        first = self._backlog.dropped == 0
        self._backlog.append(log, texts)
        if first and self._backlog.dropped:
            logger.warning(
                "shared state (%s): more than %d log records wait for it; the oldest are dropped",
                self.name,
                self._queued_records,
            )

    def _unavailable(self) -> Sequence[LogRecord]:
        raise StoreUnavailable(f"shared state ({self.name}) cannot be reached at the moment")

    def _leave(self, error: TaskRouterError, returns: int) -> None:
        """Go on without the store, unless it has come back since the call that failed was made."""
        with self._lock:
            if not self._available or returns != self._returns:
                return
            self._available = False
            self._away_since_s = time.monotonic()
            self._thread = threading.Thread(target=self._recover, name="taskrouter-state-retry", daemon=True)
            self._thread.start()
        # The words alone: whoever keeps the record would keep the error, and with it all that was under way.
        logger.warning("shared state (%s) is away, going on with local state: %s", self.name, str(error))

    def _recover(self) -> None:
        while not self._closing.wait(self._retry_s):
            # Who comes back first must not take what others have used meanwhile for unused.
            if self._announce() and (self._closing.wait(2 * self._retry_s) or self._come_back()):
                return

    def _announce(self) -> bool:
        """Tell the store what this process has used and may use; return whether it could be reached."""
        try:
            self._store.entries("")
            self._shares.announce(self._store)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
            logger.debug("shared state (%s) is still away: %s", self.name, str(error))
            return False
        return True

    def _come_back(self) -> bool:
        """Bring the store up to date; return whether it could be reached.

        Most is sent while callers go on, in several passes, of which each is shorter than the one before. What was
        added during the last one is little, and sent while callers wait.
        """
        try:
            # A server that hung answers this after the writes that were on their way when it did: ours come later.
            self._store.entries("")
            accounts = self._shares.report(self._store, everything=True)
            delivered = [self._backlog.deliver(self._store) for _ in range(PASSES)]
            with self._lock:
                self._shares.report(self._store, everything=False)
                delivered.append(self._backlog.deliver(self._store))
                self._available = True
                self._reached = True
                self._returns += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
            logger.debug("shared state (%s) is still away: %s", self.name, str(error))
            return False
        logger.info(
            "shared state (%s) is back after %.1f s: told it %d accounts, %d entries, %d log records (%d lost)",
            self.name,
            time.monotonic() - self._away_since_s,
            accounts,
            sum(entries for entries, _ in delivered),
            sum(records for _, records in delivered),
            self.dropped,
        )
        return True
