"""A thread that works off a bounded queue, and is gone where there is nothing to do."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Final, Generic, TypeVar

J = TypeVar("J")

IDLE_S: Final = 5.0
"""After that long without work the thread ends: it must not keep a router that was dropped."""
PATIENCE_S: Final = 1.0
"""How long `close` waits for the job under way."""


class _Sign(Enum):
    STOP = "stop"


class Worker(Generic[J]):
    """Does jobs one after the other, in the order in which they came.

    Args:
        work: does one job; it must not raise.
        queued: jobs that may wait.
        name: the thread's.
    """

    def __init__(self, work: Callable[[J], None], *, queued: int, name: str) -> None:
        self._work = work
        self._queued = queued
        self._name = name
        self._stopped = False
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._queue: queue.Queue[J | _Sign] = queue.Queue(self._queued)
        self._thread: threading.Thread | None = None
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Jobs in the queue or under way."""
        return self._waiting if self._pid == os.getpid() else 0

    @property
    def stopped(self) -> bool:
        """Whether nothing is taken any more."""
        return self._stopped

    def offer(self, job: J) -> bool:
        """Take a job, unless too many wait; tell whether it was taken."""
        if self._pid != os.getpid():  # the thread has stayed with the parent of a fork, and may have held the lock
            self._renew()
        with self._changed:
            if self._stopped:
                return False
            try:
                self._queue.put_nowait(job)
            except queue.Full:
                return False
            self._waiting += 1
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            return True

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do; tell whether it came to that within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout_s)

    def close(self) -> None:
        """Take nothing more, and let what is under way end if it does so soon."""
        self._stopped = True
        thread = self._thread
        if thread is not None and self._pid == os.getpid() and thread is not threading.current_thread():
            with suppress(queue.Full):
                self._queue.put_nowait(_Sign.STOP)
            thread.join(PATIENCE_S)

    def _run(self) -> None:
        while True:
            try:
                job = self._queue.get(timeout=IDLE_S)
            except queue.Empty:
                with self._changed:
                    if self._queue.empty():
                        self._thread = None
                        return
                continue
            if isinstance(job, _Sign) or self._stopped:
                return
            try:
                self._work(job)
            finally:
                with self._changed:
                    self._waiting -= 1
                    self._changed.notify_all()
