"""What the simulator received, for tests and for people: shapes and counters, content only on request."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from taskrouter.simulator.config import Fault

RECORDS_KEPT = 10_000
"""The newest are kept: a simulator may run for days."""


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request to `/v1/chat/completions`."""

    index: int
    """Position since the start or the last reset."""
    at: float
    """When it arrived, seconds since the epoch."""
    model: str | None = None
    stream: bool = False
    messages: int = 0
    tools: int = 0
    status: int | None = None
    """HTTP status; None as long as nothing has been sent."""
    fault: Fault | None = None
    """The fault it met."""
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
    """The newest records, in order of arrival. Written by the server's thread, read by any."""

    def __init__(self) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=RECORDS_KEPT)
        self._count = 0
        self._changed = threading.Condition()

    def open(self) -> RequestRecord:
        """Start the record of a request that has just arrived."""
        with self._changed:
            record = RequestRecord(index=self._count, at=time.time())
            self._count += 1
            self._records.append(record)
            self._changed.notify_all()
        return record

    def update(self, record: RequestRecord, **fields: Any) -> None:
        """Set fields of a record and wake whoever waits for it."""
        with self._changed:
            for name, value in fields.items():
                setattr(record, name, value)
            self._changed.notify_all()

    def snapshot(self) -> list[RequestRecord]:
        """Return copies of all records."""
        with self._changed:
            return [replace(record) for record in self._records]

    def clear(self) -> None:
        """Forget all records."""
        with self._changed:
            self._records.clear()
            self._count = 0
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[list[RequestRecord]], bool], timeout_s: float) -> bool:
        """Wait until the condition holds for the records; tell whether it did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: condition([replace(r) for r in self._records]), timeout_s)
