"""What was written while the store was away, and waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence

from taskrouter.state.rules import storable
from taskrouter.state.store import Entry, StateStore

AT_ONCE = 500


class Backlog:
    """Entries (of each name, the newest) and log records (bounded) that are to be written later.

    Args:
        records: how many log records are kept; the oldest go first.
    """

    def __init__(self, records: int) -> None:
        self._limit = records
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Entry | None]] = {}
        self._records: deque[tuple[str, str]] = deque()
        self.dropped = 0
        """How many records had no room."""

    def __len__(self) -> int:
        """Return the number of log records."""
        return len(self._records)

    def put(self, space: str, entries: Mapping[str, Entry | None]) -> None:
        """Keep entries; None stands for a removal."""
        with self._lock:
            self._entries.setdefault(space, {}).update(entries)

    def append(self, log: str, texts: Sequence[str]) -> None:
        """Keep log records.

        Raises:
            UnicodeEncodeError: a text cannot be written; it would hold up all that come after it.
        """
        storable(log, *texts)
        with self._lock:
            self._records.extend((log, text) for text in texts)
            self._drop()

    def deliver(self, store: StateStore) -> tuple[int, int]:
        """Write what is here now to a store; return the numbers of entries and records. What fails is kept.

        What comes meanwhile is left for the next time, or this might never end. A record whose write failed without
        saying so is written again the next time: better twice than never.
        """
        return self._deliver_entries(store), self._deliver_records(store)

    def _deliver_entries(self, store: StateStore) -> int:
        with self._lock:
            spaces, self._entries = self._entries, {}
        written = 0
        try:
            while spaces:
                space = next(iter(spaces))
                store.put(space, spaces[space])
                written += len(spaces.pop(space))
        finally:
            with self._lock:
                for space, entries in spaces.items():
                    self._entries[space] = {**entries, **self._entries.get(space, {})}
        return written

    def _deliver_records(self, store: StateStore) -> int:
        due, written = len(self._records), 0
        while written < due and (logs := self._take(min(AT_ONCE, due - written))):
            try:
                while logs:
                    log = next(iter(logs))
                    store.append(log, logs[log])
                    written += len(logs.pop(log))
            finally:
                self._return(logs)
        return written

    def _take(self, count: int) -> dict[str, list[str]]:
        """Take the oldest records, sorted by log: only within its log has a record an order."""
        logs: dict[str, list[str]] = {}
        with self._lock:
            for _ in range(min(count, len(self._records))):
                log, text = self._records.popleft()
                logs.setdefault(log, []).append(text)
        return logs

    def _return(self, logs: Mapping[str, Sequence[str]]) -> None:
        with self._lock:
            for log, texts in logs.items():
                self._records.extendleft((log, text) for text in reversed(texts))
            self._drop()

    def _drop(self) -> None:
        while len(self._records) > self._limit:
            self._records.popleft()
            self.dropped += 1
