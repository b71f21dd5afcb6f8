"""Metrics are recorded behind the calls: a record takes the SDK far longer than it takes us to note that one is due.

Mostly a step waits for a model, and then there is time. Nobody who reads metrics can tell the difference: what is due
is recorded before a reader collects.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

MANY: Final = 128
"""Jobs that wait before the thread is woken: a few milliseconds of work."""
FULL: Final = 10 * MANY
"""Jobs that wait at most. Whoever brings one more does one: nothing is lost, and memory stays bounded."""
PATIENCE_S: Final = 1.0
"""How long a reader waits for a job that another thread is at."""
NAME: Final = "taskrouter.records"
"""An instrument that never has a value; by it we learn that somebody collects."""


class Behind:
    """Does small jobs later: when a reader collects the metrics, when many wait, or when it is told to.

    All of a process wait in one line: what a router has left is recorded though the router is gone.

    Args:
        meter: where the jobs record.
    """

    def __init__(self, meter: Meter) -> None:
        # A reader asks the instruments that have a callback first. Of a name it keeps the first callback alone.
        meter.create_observable_gauge(NAME, [_collected], description="Never has a value.")

    def put(self, work: Callable[..., None], *args: object) -> None:
        """Leave a job to be done later; it must not raise."""
        _line.put(work, args)

    def drain(self) -> None:
        """Do all that waits."""
        _line.drain()


class _Line:
    """What waits, and the thread that does it where nobody collects. It is started when it is first needed."""

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._jobs: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._doing: set[object] = set()
        """Jobs under way."""
        # The lock can be taken twice, which an event's cannot: a stream that nobody holds any more ends, and leaves its
        # records, wherever its garbage is collected, even amid what follows here.
        self._lock = threading.RLock()
        self._ended, self._woken = threading.Condition(self._lock), threading.Condition(self._lock)
        self._many = self._running = False

    def put(self, work: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._jobs.append((work, args))
        waiting = len(self._jobs)
        if waiting > FULL:
            self._do_one()
        elif waiting >= MANY and not self._many:
            self._wake()

    def drain(self) -> None:
        """Do all that waits, and let others end what they are at: it is due, too.

        What comes meanwhile is not: where steps come faster than they are recorded, a reader would never be done.
        """
        for _ in range(len(self._jobs)):
            self._do_one()
        with self._ended:
            due = set(self._doing)
            self._ended.wait_for(lambda: due.isdisjoint(self._doing), PATIENCE_S)

    def after_fork(self) -> None:
        """Begin anew: what waits is the parent's to record, and the thread has stayed with it."""
        self._renew()

    def _do_one(self) -> bool:
        with self._lock:
            try:
                work, args = self._jobs.popleft()
            except IndexError:
                return False
            mark = object()
            self._doing.add(mark)
        try:
            work(*args)
        finally:
            with self._ended:
                self._doing.remove(mark)
                self._ended.notify_all()
        return True

    def _wake(self) -> None:
        with self._woken:
            self._many = True
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="taskrouter-metrics", daemon=True).start()
            self._woken.notify_all()

    def _run(self) -> None:
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._many)
                self._many = False
            while self._do_one():
                pass


_line = _Line()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_line.after_fork)


def _collected(_: CallbackOptions) -> Iterable[Observation]:
    _line.drain()
    return ()
