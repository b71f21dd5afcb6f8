"""Writing the ledger of decisions behind the calls, and beside it the pool that they were made from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence

from taskrouter.decision import Decision
from taskrouter.ledger.behind import QUEUED, Behind
from taskrouter.ledger.pools import POOLS, PoolEntry
from taskrouter.ledger.record import DECISIONS, Noted, noted, record_of
from taskrouter.ledger.retention import DAY_S, Retention
from taskrouter.outcome import Ending
from taskrouter.state.store import Entry, StateStore
from taskrouter.step import Step


class LedgerWriter(Behind[Noted]):
    """Appends the records of steps that are over to the log of decisions.

    `note` is all that a step's thread does. Whoever has a thread calls `flush`.

    Args:
        store: keeps the log.
        retention: how much of it is kept.
        pool: what models cost, put beside the records that it is named in.
        queued: records that wait at most.
        wake: asks for a `flush` soon.
    """

    def __init__(
        self,
        store: StateStore,
        *,
        retention: Retention,
        pool: PoolEntry | None = None,
        queued: int = QUEUED,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(store, DECISIONS, "decisions", retention=retention, queued=queued, wake=wake)
        self.pool = pool

    def _rest(self) -> None:
        super()._rest()
        self._pool_until_s = -math.inf
        """Until when it is certain that the store has the pool."""

    def note(self, step: Step, decision: Decision, ending: Ending, *, trace: tuple[str, str] | None = None) -> None:
        """Leave the record of a step that is over to be written. It never waits, and never raises.

        Args:
            step: the step.
            decision: what was decided.
            ending: what came of it.
            trace: ids of the trace and of the route span, hexadecimal.
        """
        self.leave(lambda: noted(step, decision, ending, at_s=time.time(), trace=trace))

    def text(self, item: Noted) -> str:
        """Return the record of a step."""
        return json.dumps(record_of(item), separators=(",", ":"))

    def _append(self, batch: Sequence[Noted]) -> None:
        self._introduce()
        super()._append(batch)

    def _introduce(self) -> None:
        """Put the pool into the store, again every day: it is to outlive the last record that names it."""
        now_s, lasts_s = time.time(), self._retention.lasts_s
        if self.pool is None or now_s < self._pool_until_s:
            return
        expires_at_s = None if lasts_s is None else now_s + lasts_s + 2 * DAY_S
        self._store.put(POOLS, {self.pool.version: Entry(value=self.pool.text, expires_at_s=expires_at_s)})
        self._pool_until_s = math.inf if lasts_s is None else now_s + DAY_S
