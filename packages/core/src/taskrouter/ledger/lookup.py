"""Finding a decision in the ledger by its id, when a label comes late or to another process."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError

from taskrouter.errors import StoreUnavailable
from taskrouter.ledger.record import DECISIONS
from taskrouter.ledger.stored import Record
from taskrouter.state import forks
from taskrouter.state.store import StateStore

logger = logging.getLogger("taskrouter.ledger")

INDEXED: Final = 100_000
"""Decisions that are found, newest first: about 20 MB, in a process that gets labels of decisions it does not know."""
PAGE: Final = 1000
_ID: Final = re.compile(r'"id": ?"(dec_[0-9a-f]{16})"')
_HEAD: Final = 80
"""The id stands at the beginning of a record."""


class LedgerLookup:
    """An index of the ledger: made when it is first asked, brought up to date when an id is missing.

    Args:
        store: has the log.
        refresh_s: seconds between two looks at what is new in it.
        indexed: ids that are kept at most.
        clock: seconds, never set back.
    """

    def __init__(
        self,
        store: StateStore,
        *,
        refresh_s: float,
        indexed: int = INDEXED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._refresh_s = refresh_s
        self._indexed = indexed
        self._clock = clock
        self._before: dict[str, str | None] = {}
        """For each id, the position behind which its record comes."""
        self._end: str | None = None
        self._next_look_s = 0.0
        self._lock = threading.Lock()
        forks.watch(self)

    def find(self, decision_id: str) -> Record | None:
        """Return the record of a decision, or None. A store that is away knows nothing."""
        try:
            with self._lock:
                if decision_id not in self._before:
                    self._look()
                if decision_id not in self._before:
                    return None
                found = self._store.read(DECISIONS, after=self._before[decision_id], limit=1)
            record = Record.read(found[0].text) if found else None
        except StoreUnavailable as error:
            logger.debug("the ledger could not be read: %s", str(error))
            return None
        except (ValidationError, ValueError) as error:
            logger.debug("a decision in the ledger cannot be read: %s", type(error).__name__)
            return None
        return record if record is not None and record.id == decision_id else None  # else: trimmed since

    def before_fork(self) -> None:
        """Do nothing: a look may take long."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Begin anew: a thread of the parent may have been amid a look."""
        self._lock = threading.Lock()
        self._before, self._end, self._next_look_s = {}, None, 0.0

    def _look(self) -> None:
        now_s = self._clock()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + self._refresh_s
        while records := self._store.read(DECISIONS, after=self._end, limit=PAGE):
            for record in records:
                if found := _ID.search(record.text, 0, _HEAD):
                    self._before.pop(found[1], None)  # so that it counts as new
                    self._before[found[1]] = self._end
                self._end = record.position
            while len(self._before) > self._indexed:
                del self._before[next(iter(self._before))]
            if len(records) < PAGE:
                return
