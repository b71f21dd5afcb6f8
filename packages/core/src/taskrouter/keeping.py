"""What a router keeps beyond a step: its store, its budgets, and the exchange with other processes."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from taskrouter.budget import BudgetBook
from taskrouter.config import BudgetConfig, StateConfig
from taskrouter.errors import FeedbackError, RoutingError, StoreUnavailable
from taskrouter.learning.evidence import Remembered
from taskrouter.ledger import DECISIONS, EventLog, Ledger, LedgerLookup, LedgerWriter, PoolEntry, Record, Retention
from taskrouter.ledger.authors import Author
from taskrouter.ledger.record import digest
from taskrouter.sharing import Sharing, TellingHealth, waking
from taskrouter.state.opening import open_store
from taskrouter.state.resilient import ResilientStore
from taskrouter.state.store import StateStore
from taskrouter.step import Step

logger = logging.getLogger("taskrouter.ledger")
FEEDBACK = "feedback"
"""The log that feedback is appended to."""
PAGE = 1000
"""Records read at a time."""
_SHOWN = 10**9
"""Whole numbers below it are quoted in errors; Python refuses to write those of more than 4,300 digits."""


class RouterState:
    """Opens the store that is configured and puts it to use.

    Args:
        state: the section `[state]`.
        budget: the section `[budget]`.
        health: what is known of endpoints.
        margin: factor on the token estimate.

    Raises:
        ConfigurationError: the store's address is wrong, or what is there cannot be used.
    """

    def __init__(self, state: StateConfig, budget: BudgetConfig, health: TellingHealth, *, margin: float) -> None:
        store = open_store(state.url, namespace=state.namespace)
        self.store: StateStore = ResilientStore(store) if store.shared else store
        self._author = Author()
        owner = self._author.name
        self.budgets = BudgetBook(budget, self.store if store.shared else None, owner, margin=margin)
        # A file is here or it fails: only a server can be away for a while. What waits for it is not durable, so a
        # record that a file could not take is an error.
        self._log = store if store.name == "sqlite" else self.store
        self._sharing: Sharing | None = None
        kept = _ledger(state, self.store)
        self.ledger = None if kept is None else kept[0]
        self.events = None if kept is None else kept[1]
        self._lookup = LedgerLookup(self.store, refresh_s=state.refresh_s) if state.decisions and store.shared else None
        if store.shared:
            write = partial(_write, self.ledger, self.events)
            self._sharing = Sharing(self.store, health, self.budgets, refresh_s=state.refresh_s, write=write)
            health.tell = waking(self._sharing)
            if self.ledger is not None:
                self.ledger.wake = health.tell
        if self.events is not None:
            health.listeners.append(self.events.turned)

    def begin(self) -> None:
        """Begin the exchange with other processes, if there may be any."""
        if self._sharing is not None:
            self._sharing.begin()

    def reading(self) -> Ledger:
        """Return what reads the ledger, with what this process has not written yet."""
        return Ledger(self.store, flush=partial(_write, self.ledger, self.events))

    def introduce(self, pool: PoolEntry) -> None:
        """Say what the models cost that decisions are made from; it is kept beside the first record."""
        if self.ledger is not None:
            self.ledger.pool = pool

    def refused(self, step: Step, error: RoutingError) -> None:
        """Take note of a step for which no decision could be made."""
        if self.events is not None:
            self.begin()
            self.events.refused(step, error)

    def recall(self, decision_id: str) -> Remembered | None:
        """Return what the ledger knows of an answered step, which another process may have asked, or None."""
        record = self.record(decision_id)
        return None if record is None or not record.answered else record.remembered

    def record(self, decision_id: str) -> Record | None:
        """Return the record of a decision that the store has, or None."""
        return None if self._lookup is None else self._lookup.find(decision_id)

    def trace_of(self, decision_id: str) -> tuple[str, str] | None:
        """Return the ids of a step's trace and route span, hexadecimal, as the ledger has them."""
        record = self.record(decision_id)
        return None if record is None else record.trace

    def check_feedback(self, decision_id: str, score: float, source: str) -> None:
        """Make sure of a label before anything is done with it.

        Raises:
            FeedbackError: the id is none of ours, or the score or the source is wrong.
        """
        # What is wrong is not quoted, unless it is a number: it may be an answer.
        if not isinstance(decision_id, str) or not re.fullmatch(r"dec_[0-9a-f]{16}", decision_id):
            raise FeedbackError(f"this {type(decision_id).__name__} is no decision id: pass `outcome.decision_id`")
        _check_label(decision_id, score, source)

    def check_run(self, run_id: str, shares: Mapping[str, float], score: float, source: str) -> None:
        """Make sure of a run's label.

        Raises:
            FeedbackError: no step of the run is known, or the score or the source is wrong.
        """
        if not isinstance(run_id, str) or not shares:
            raise FeedbackError(
                "no step of this run is known here: pass the `run_id` of the steps' context, in the process that made "
                "them, and not long after"
            )
        _check_label("the run", score, source)

    def feedback(self, decision_id: str, score: float, source: str, *, lesson: Mapping[str, Any] | None = None) -> None:
        """Append a label to the log of feedback, with what it taught; see `Router.feedback`."""
        self._append(decision_id, score, source, [{"decision_id": decision_id, **_with(lesson)}])

    def feedback_run(
        self,
        run_id: str,
        shares: Mapping[str, float],
        score: float,
        source: str,
        *,
        lessons: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Append a run's label to the log of feedback, divided among its steps; see `Router.feedback_run`.

        Of the run only what the ledger knows it by is kept.
        """
        steps = [
            {"decision_id": step, "run_id": digest(run_id), "share": share, **_with(lessons.get(step))}
            for step, share in shares.items()
        ]
        self._append("the run", score, source, steps)

    def taught(self, *, after: str | None) -> Iterator[tuple[str, str]]:
        """Yield the records of feedback that others have written, with their positions, from a position on."""
        while records := self.store.read(FEEDBACK, after=after, limit=PAGE):
            for record in records:
                after = record.position
                if not self._author.wrote(record.text):
                    yield record.position, record.text

    def _append(self, subject: str, score: float, source: str, records: Sequence[Mapping[str, Any]]) -> None:
        said = {"score": float(score), "source": source, "at_s": time.time(), "owner": self._author.name}
        try:
            self._log.append(FEEDBACK, [json.dumps({"v": 1, **record, **said}) for record in records])
        except StoreUnavailable as error:
            raise FeedbackError(f"feedback for {subject} was not kept: {error}") from error

    def close(self) -> None:
        """Write what is not written and close the store."""
        if self._sharing is not None:
            self._sharing.stop()
            if self.ledger is not None and self.ledger.waiting:
                logger.warning(
                    "the %s store is closed while it cannot be used: %d decisions are lost",
                    self.store.name,
                    self.ledger.waiting,
                )
        self.store.close()


def _ledger(state: StateConfig, store: StateStore) -> tuple[LedgerWriter, EventLog] | None:
    """Return what writes decisions and events, where they are to be kept."""
    if not state.decisions:
        return None
    days = state.decision_days or None
    retention = Retention(DECISIONS, keep=state.decisions, days=days, megabytes=state.decision_mb or None)
    return LedgerWriter(store, retention=retention), EventLog(store, days=days)


def _write(ledger: LedgerWriter | None, events: EventLog | None) -> None:
    if ledger is not None:
        ledger.flush()
    if events is not None:
        events.flush()


def _with(lesson: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if lesson is None else {"lesson": lesson}


def _check_label(subject: str, score: float, source: str) -> None:
    if not isinstance(score, int | float):
        raise FeedbackError(f"score of {subject} is a {type(score).__name__}: it must be a number from 0 to 1")
    if not 0.0 <= score <= 1.0:
        shown = f"{score!r:.40}" if isinstance(score, float) or abs(score) < _SHOWN else "out of range"
        raise FeedbackError(f"score of {subject} is {shown}: it must be a number from 0 to 1")
    if not isinstance(source, str) or not re.fullmatch(r"[\w.:/ -]{1,100}", source):
        raise FeedbackError(f"source of {subject}: it must be a short name of who says so, such as 'user'")
