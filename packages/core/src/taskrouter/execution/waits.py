"""A time limit for one wait after another, with one timer for all of them."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType


class Waits:
    """The waits of one reader: `with waits.until(seconds): await ...` does what `asyncio.timeout` does.

    A stream waits for every chunk, and `asyncio.timeout` sets a timer and takes it back each time, which takes longer
    than the rest of reading. Here the timer of an earlier wait stands: when it goes off too soon it is set anew.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        """Who waits, if anybody does."""
        self._cancelling = 0
        """How often it had been cancelled before."""
        self._ends_at = math.inf
        self._expired = False
        self._timer: asyncio.TimerHandle | None = None

    def until(self, seconds: float) -> Waits:
        """Set the limit of the next wait."""
        loop = asyncio.get_running_loop()
        self._ends_at = loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._ends_at:
            self.close()
        if self._timer is None:
            self._timer = loop.call_at(self._ends_at, self._due)
        return self

    def __enter__(self) -> None:
        self._expired = False
        self._task = task = asyncio.current_task()
        assert task is not None, "outside of a task"  # noqa: S101 - as `asyncio.timeout`
        self._cancelling = task.cancelling()

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        if not self._expired:
            # `asyncio.wait_for` of Python 3.11 loses a cancellation that arrives together with a result (CPython's
            # issue 86296), and clients wait in it for their chunks.
            if error is None and task.cancelling() > self._cancelling:
                raise asyncio.CancelledError
            return
        if task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error  # nobody else has cancelled it

    def close(self) -> None:
        """Take the timer back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        if self._task is None:
            return  # the next wait sets another
        loop = asyncio.get_running_loop()
        if loop.time() < self._ends_at:
            self._timer = loop.call_at(self._ends_at, self._due)
        else:
            self._expired = True
            self._task.cancel()
