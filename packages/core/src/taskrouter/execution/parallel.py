"""Work beside other work: calls of one step as tasks in async code and as threads in sync code; reservations."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

from taskrouter.execution.commands import Call, CallEnd, Gather, Reserve
from taskrouter.ports import Refusal


class Tasks:
    """The started calls of one step in async code.

    Args:
        call: carries a call out, to its event.
    """

    def __init__(self, call: Callable[[Any], Coroutine[Any, Any, CallEnd]]) -> None:
        self._call = call
        self._tasks: dict[asyncio.Task[CallEnd], int] = {}

    def start(self, call: Call | Gather) -> None:
        """Start a call."""
        context = call.visit.context()
        self._tasks[asyncio.get_running_loop().create_task(self._call(call), context=context)] = call.index

    async def first(self, timeout_s: float) -> CallEnd | None:
        """Return the event of the first call that ends, or None when none does in time."""
        done, _ = await asyncio.wait(self._tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        task = min(done, key=self._tasks.__getitem__)
        return replace(task.result(), index=self._tasks.pop(task))

    async def cancel(self, index: int) -> None:
        """Give a call up and wait until its connection is closed."""
        await self._end([task for task, other in self._tasks.items() if other == index])

    async def aclose(self) -> None:
        """Give up whatever still runs, in the same way."""
        await self._end(list(self._tasks))

    def drop(self) -> None:
        """Give up whatever still runs and wait for nothing."""
        for task in self._tasks:
            with suppress(RuntimeError):  # its event loop is closed
                task.cancel()
        self._tasks.clear()

    async def _end(self, tasks: list[asyncio.Task[CallEnd]]) -> None:
        for task in tasks:
            del self._tasks[task]
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class Threads:
    """The started calls of one step in sync code.

    A thread cannot be stopped: a call that is given up runs to its end, and what it brings is thrown away. The threads
    are daemons, so that a program does not wait at its end for an answer that nobody wants.

    Args:
        call: carries a call out, to its event.
    """

    def __init__(self, call: Callable[[Any], CallEnd]) -> None:
        self._call = call
        self._running: set[int] = set()
        self._ended: SimpleQueue[tuple[int, CallEnd | BaseException]] = SimpleQueue()

    def start(self, call: Call | Gather) -> None:
        """Start a call."""
        run = call.visit.context().run
        threading.Thread(target=run, args=(self._work, call), name="taskrouter-call", daemon=True).start()
        self._running.add(call.index)

    def first(self, timeout_s: float) -> CallEnd | None:
        """Return the event of the first call that ends, or None when none does in time."""
        until_s = time.monotonic() + timeout_s
        while True:
            try:
                index, ended = self._ended.get(timeout=max(0.0, until_s - time.monotonic()))
            except Empty:
                return None
            if index not in self._running:
                continue
            self._running.remove(index)
            if isinstance(ended, BaseException):
                raise ended
            return replace(ended, index=index)

    def cancel(self, index: int) -> None:
        """Forget a call."""
        self._running.discard(index)

    def _work(self, call: Call | Gather) -> None:
        try:
            self._ended.put((call.index, self._call(call)))
        except BaseException as error:  # noqa: BLE001 - what is no failure of a call, it raises in the caller's thread
            self._ended.put((call.index, error))


class Handover:
    """A reservation that is made in a thread, so that the event loop does not wait for another machine.

    The thread cannot be stopped when the waiting task is cancelled. Then it gives back what it gets.
    """

    def __init__(self, command: Reserve) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._gone = False
        self._made: object | None = None

    async def result(self) -> object:
        """Make the reservation and return it."""
        try:
            return await asyncio.to_thread(self._work)
        except BaseException:
            with self._lock:
                self._gone = True
                made = self._made
            self._undo(made)
            raise

    def _work(self) -> object:
        made = self._command.work()
        with self._lock:
            gone = self._gone
            self._made = made
        if gone:
            self._undo(made)
        return made

    def _undo(self, made: object | None) -> None:
        if made is not None and not isinstance(made, Refusal):
            self._command.undo(made)
