"""What the simulator received, for tests and for people: shapes and counters, content only on request."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from taskrouter.simulator.config import Fault

RECORDS_KEPT = 20_000
"""The newest are kept: a simulator may run for days."""


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request to `/v1/chat/completions`."""

    index: int
    """Position since the start or the last reset."""
    request_id: str
    """What the client found in the header `x-request-id` of the response."""
    at: float
    """When it arrived, seconds since the epoch."""
    ended_at: float | None = None
    """When the last of the response was sent, or the client had gone; seconds since the epoch."""
    connection: int | None = None
    """The connection that it came on: position since the start of the server."""
    connection_closed: bool = False
    """That connection is closed, by whichever side."""
    prompt_digest: str | None = None
    """The same for requests with the same messages, tools and answer format, such as a retry and a fallback, whatever
    their key, model and parameters."""
    model: str | None = None
    stream: bool = False
    messages: int = 0
    tools: int = 0
    status: int | None = None
    """HTTP status; None as long as nothing has been sent."""
    fault: Fault | None = None
    """The fault it met."""
    phase: str | None = None
    """The phase of the chaos script that decided what it met."""
    finish_reason: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    """Tokens that were produced, also those of an answer that nobody waited for."""
    closed_early: bool = False
    """The client went away before the end."""
    done: bool = False
    """Nothing more will be sent."""
    body: dict[str, Any] | None = None
    """The request itself, where `record_content` is on."""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return asdict(self)


class Journal:
    """The newest records in order of arrival, and open connections. Written by the server's thread, read by any."""

    def __init__(self) -> None:
        self._records: deque[RequestRecord] = deque()
        self._copies: dict[int, RequestRecord] = {}
        self._connections: set[int] = set()
        self._count = 0
        self._changes = 0
        self._changed = threading.Condition()

    def open(self, connection: int) -> RequestRecord:
        """Start the record of a request that has just arrived."""
        with self._changed:
            index = self._count
            record = RequestRecord(index=index, request_id=f"req_sim{index:08d}", at=time.time(), connection=connection)
            self._count += 1
            self._records.append(record)
            if len(self._records) > RECORDS_KEPT:
                self._copies.pop(self._records.popleft().index, None)
            self._notify()
        return record

    def update(self, record: RequestRecord, **fields: Any) -> None:
        """Set fields of a record and wake whoever waits for it."""
        with self._changed:
            for name, value in fields.items():
                setattr(record, name, value)
            if record.done and record.ended_at is None:
                record.ended_at = time.time()
            self._copies.pop(record.index, None)
            self._notify()

    def connected(self, connection: int) -> None:
        """Note a new connection."""
        with self._changed:
            self._connections.add(connection)
            self._notify()

    def disconnected(self, connection: int) -> None:
        """Note the end of a connection."""
        with self._changed:
            self._connections.discard(connection)
            self._notify()

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        with self._changed:
            return len(self._connections)

    def snapshot(self) -> list[RequestRecord]:
        """Return copies of all records."""
        with self._changed:
            return self._copied()

    def clear(self) -> None:
        """Forget all records. Connections stay open."""
        with self._changed:
            self._records.clear()
            self._copies.clear()
            self._count = 0
            self._notify()

    def wait_for(self, condition: Callable[[list[RequestRecord]], bool], timeout_s: float) -> bool:
        """Wait until the condition holds for the records; tell whether it did in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            began = time.monotonic()
            with self._changed:
                records, seen = self._copied(), self._changes
            if condition(records):
                return True
            spent = time.monotonic() - began
            if time.monotonic() >= deadline or not self._changed_since(seen, deadline):
                return False
            if spent > 0.001:
                # With thousands of records a look takes a while; looking at every change would stop the server.
                time.sleep(min(4 * spent, max(0.0, deadline - time.monotonic())))

    def wait_for_connections(self, at_most: int, timeout_s: float) -> bool:
        """Wait until at most so many connections are open; tell whether it came to that in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._connections) <= at_most, timeout_s)

    def _changed_since(self, seen: int, deadline: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._changes != seen, deadline - time.monotonic())

    def _copied(self) -> list[RequestRecord]:
        """Return a copy of each record, made anew only where the record has changed. Under the lock."""
        copies = self._copies
        for record in self._records:
            if not record.connection_closed and record.connection not in self._connections:
                record.connection_closed = True
                copies.pop(record.index, None)
            if record.index not in copies:
                copies[record.index] = replace(record)
        return [copies[record.index] for record in self._records]

    def _notify(self) -> None:
        self._changes += 1
        self._changed.notify_all()
