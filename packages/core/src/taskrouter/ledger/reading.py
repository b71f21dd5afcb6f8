"""Reading the ledger: records, labels, what models cost, and what happened beside the steps."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taskrouter.ledger.happening import EVENTS, Event
from taskrouter.ledger.pools import POOLS, Pool
from taskrouter.ledger.record import DECISIONS
from taskrouter.ledger.stored import Moment, Record, parsed
from taskrouter.state.opening import existing, open_store
from taskrouter.state.store import LogRecord, StateStore

FEEDBACK: Final = "feedback"
"""The log that labels are appended to."""
PAGE: Final = 1000
HEAD: Final = 80
"""The id stands in the first characters of a record."""

M = TypeVar("M", bound=BaseModel)
logger = logging.getLogger("taskrouter.ledger")


class Label(BaseModel):
    """What somebody said of a step."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    decision_id: str
    score: float = Field(ge=0, le=1)
    source: str = "user"
    share: float = Field(default=1.0, ge=0, le=1)
    """The step's part of a label that is of a whole run."""
    run_id: str | None = None
    at_s: Moment = 0.0


class Found(NamedTuple):
    """What a search has come to."""

    records: tuple[Record, ...]
    decisions: int
    """Rows that were looked through."""
    since_s: float | None
    """When the oldest of them was written, seconds since the epoch; None: there is none."""


class Ledger:
    """What a store knows of the steps.

    Rows that cannot be read are left out and counted in `unreadable`, and the log `taskrouter.ledger` says so once.

    Args:
        store: has the logs. Whoever opened it closes it, unless `open` did.
        flush: writes what this process has not written yet.
    """

    def __init__(self, store: StateStore, *, flush: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._flush = flush
        self._opened = False
        self.unreadable: Counter[str] = Counter()
        """Rows that could not be read, by log."""

    @classmethod
    def open(cls, url: str, *, namespace: str = "default") -> Self:
        """Open the ledger of a store, which must exist. Nothing is written to it, and no file is made.

        Args:
            url: as in `[state] url`.
            namespace: as in `[state] namespace`.

        Raises:
            ConfigurationError: there is no such store; the message says what to change.
            StoreUnavailable: it cannot be reached.
        """
        ledger = cls(open_store(existing(url), namespace=namespace, read_only=True))
        ledger._opened = True
        return ledger

    def records(self, *, since_s: float = 0.0) -> Iterator[Record]:
        """Yield the records of decisions, oldest first.

        Args:
            since_s: leave out what is older, seconds since the epoch.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        for row in self._rows(DECISIONS, since_s):
            if (record := self._read(DECISIONS, Record, row)) is not None:
                yield record

    def later(self, after: str | None, *, limit: int = PAGE, since_s: float = 0.0) -> tuple[str | None, list[Record]]:
        """Return records behind a position, and the position to go on from.

        Args:
            after: the position; None: the beginning.
            limit: rows to look at, at most; where the position does not move on, there are no more.
            since_s: leave out what is older, seconds since the epoch.
        """
        return self._later(DECISIONS, Record, after, limit, since_s)

    def before_last(self, count: int) -> str | None:
        """Return the position for `later` behind which the newest decisions stand, so many of them."""
        last = deque((row.position for row in self._rows(DECISIONS, 0.0)), maxlen=count + 1)
        return last[0] if len(last) > count else None

    def later_events(
        self, after: str | None, *, limit: int = PAGE, since_s: float = 0.0
    ) -> tuple[str | None, list[Event]]:
        """Return events behind a position, and the position to go on from, as `later` does."""
        return self._later(EVENTS, Event, after, limit, since_s)

    def search(self, beginning: str) -> Found:
        """Return the records whose id begins so, and how much was looked through."""
        records: list[Record] = []
        decisions, since_s = 0, None
        for row in self._rows(DECISIONS, 0.0):
            decisions += 1
            since_s = row.at_s if since_s is None else since_s
            if f'"{beginning}' in row.text[:HEAD] and (record := self._read(DECISIONS, Record, row)):
                records.append(record)
        return Found(tuple(records), decisions, since_s)

    def newest(self) -> Record | None:
        """Return the record of the newest step; that of a trial only where there is no step near the end."""
        trial: Record | None = None
        for row in reversed(deque(self._rows(DECISIONS, 0.0), maxlen=PAGE)):
            record = self._read(DECISIONS, Record, row)
            if record is not None and not record.is_trial:
                return record
            trial = trial or record
        return trial

    def find(self, decision_id: str) -> Record | None:
        """Return the record of a decision, or None."""
        for row in self._rows(DECISIONS, 0.0):
            if decision_id in row.text and (record := self._read(DECISIONS, Record, row)) and record.id == decision_id:
                return record
        return None

    def labels(self, *, since_s: float = 0.0) -> Iterator[Label]:
        """Yield labels, oldest first."""
        for row in self._rows(FEEDBACK, since_s):
            if (label := self._read(FEEDBACK, Label, row)) is not None:
                yield label

    def events(self, *, since_s: float = 0.0) -> Iterator[Event]:
        """Yield what happened beside the steps, oldest first."""
        for row in self._rows(EVENTS, since_s):
            if (event := self._read(EVENTS, Event, row)) is not None:
                yield event

    def pools(self) -> Mapping[str, Pool]:
        """Return what models cost, by `Record.policy_version`."""
        self._flush()
        found: dict[str, Pool] = {}
        for version, entry in self._store.entries(POOLS).items():
            try:
                found[version] = Pool.model_validate_json(entry.value)
            except ValidationError:
                self._count(POOLS)
        return found

    def close(self) -> None:
        """Close the store, if this ledger has opened it."""
        if self._opened:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _rows(self, log: str, since_s: float) -> Iterator[LogRecord]:
        self._flush()
        after: str | None = None
        while rows := self._store.read(log, after=after, limit=PAGE):
            after = rows[-1].position
            yield from (row for row in rows if row.at_s >= since_s)

    def _later(
        self, log: str, model: type[M], after: str | None, limit: int, since_s: float
    ) -> tuple[str | None, list[M]]:
        self._flush()
        rows = self._store.read(log, after=after, limit=limit)
        found = [self._read(log, model, row) for row in rows if row.at_s >= since_s]
        return (rows[-1].position if rows else after), [one for one in found if one is not None]

    def _read(self, log: str, model: type[M], row: LogRecord) -> M | None:
        try:
            return model.model_validate(parsed(row.text))
        except ValueError:
            self._count(log)
            return None

    def _count(self, log: str) -> None:
        if not self.unreadable[log]:
            logger.warning("the ledger has rows in %r that cannot be read; they are left out, and counted", log)
        self.unreadable[log] += 1
