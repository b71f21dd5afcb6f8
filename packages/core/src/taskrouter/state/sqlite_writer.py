"""The one thread that writes to a state file: what waits at the same moment becomes one transaction."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from taskrouter.errors import StoreUnavailable
from taskrouter.state.sqlite_file import StateFile, abandon
from taskrouter.state.sqlite_statements import sweep

T = TypeVar("T")
BATCH = 1000


@dataclass(slots=True, kw_only=True)
class _Write:
    work: Callable[[sqlite3.Connection], Any]
    durable: bool
    result: Future[Any] = field(default_factory=Future)
    given_up: bool = False
    """Nobody waits for it any more, and its caller was told that it failed."""


class Writer:
    """Writes for all threads of this process.

    Args:
        file: where to.
        timeout_s: how long a caller waits.
        sweep_s: how often what has expired is removed.
        clock: seconds since the epoch.
    """

    def __init__(self, file: StateFile, *, timeout_s: float, sweep_s: float, clock: Callable[[], float]) -> None:
        self._file = file
        self._timeout_s = timeout_s
        self._sweep_s = sweep_s
        self._clock = clock
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._synchronous = ""
        self._swept_at_s = -sweep_s
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()

    def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Run some statements within the next transaction and return their result once it is committed.

        Args:
            work: the statements. An exception of theirs undoes them alone and is raised here.
            durable: whether the result is to survive a loss of power, which takes a few milliseconds more.

        Raises:
            StoreUnavailable: it could not be committed in time, or the store is closed. When only the time was short,
                it may be committed nevertheless.
        """
        write = _Write(work=work, durable=durable)
        self._submit(write)
        try:
            result: T = write.result.result(self._timeout_s)
        except TimeoutError:
            write.given_up = True
            raise StoreUnavailable(
                f"state file {self._file.path} was not written within {self._timeout_s:g} s"
            ) from None
        return result

    def close(self) -> None:
        """Write what waits, then close the file."""
        with self._lock:
            self._closed = True
            thread = self._thread
            if thread is not None:
                self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(2 * self._timeout_s)

    def before_fork(self) -> None:
        """Let the transaction that is under way end, and begin no other one."""
        self._writing.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._writing.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: the thread has stayed with the parent, and the connection is the parent's."""
        if self._connection is not None:
            abandon(self._connection)
            self._connection = None
        self._begin()

    def _submit(self, write: _Write) -> None:
        with self._lock:
            if self._closed:
                raise StoreUnavailable(f"state file {self._file.path} has been closed")
            self._queue.put(write)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="taskrouter-state-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._next()
            with self._writing:
                self._commit([write for write in batch if not write.given_up])
        self._disconnect()

    def _next(self) -> tuple[list[_Write], bool]:
        """Wait for work; return all that is there, and whether there may be more."""
        batch: list[_Write] = []
        write = self._queue.get()
        with contextlib.suppress(Empty):
            while write is not None:
                batch.append(write)
                if len(batch) == BATCH:
                    break
                write = self._queue.get_nowait()
        return batch, write is not None

    def _commit(self, batch: Sequence[_Write]) -> None:
        if not batch:
            return
        try:
            outcomes = self._transaction(batch)
        except Exception as error:  # noqa: BLE001 - somebody waits for each of them, whatever went wrong
            self._disconnect()
            for write in batch:
                write.result.set_exception(self._failure(error))
        else:
            for write, (result, failure) in zip(batch, outcomes, strict=True):
                if failure is None:
                    write.result.set_result(result)
                else:
                    write.result.set_exception(failure)

    def _failure(self, error: Exception) -> Exception:
        """Return an exception for one caller: one that several threads raise would mix up their tracebacks."""
        if not isinstance(error, sqlite3.Error | StoreUnavailable):
            return error
        failure: Exception
        failure = self._file.unavailable(error) if isinstance(error, sqlite3.Error) else StoreUnavailable(*error.args)
        failure.__cause__ = error
        return failure

    def _transaction(self, batch: Sequence[_Write]) -> list[tuple[Any, Exception | None]]:
        connection = self._connection = self._connection or self._file.connect()
        self._synchronize(connection, "FULL" if any(write.durable for write in batch) else "NORMAL")
        self._file.begin(connection)
        try:
            self._sweep(connection)
            outcomes = [_outcome(connection, write) for write in batch]
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back already when the disk is full
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _synchronize(self, connection: sqlite3.Connection, mode: str) -> None:
        if mode != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {mode}")
            self._synchronous = mode

    def _sweep(self, connection: sqlite3.Connection) -> None:
        if (now_s := time.monotonic()) - self._swept_at_s >= self._sweep_s:
            self._swept_at_s = now_s
            sweep(connection, self._clock())

    def _disconnect(self) -> None:
        connection, self._connection, self._synchronous = self._connection, None, ""
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _outcome(connection: sqlite3.Connection, write: _Write) -> tuple[Any, Exception | None]:
    """Run one caller's statements so that their failure, unless it is the database's, is theirs alone."""
    if write.given_up:  # while we waited for another process
        return None, None
    connection.execute("SAVEPOINT one")
    try:
        result = write.work(connection)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised where the work came from
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return None, error
    connection.execute("RELEASE one")
    return result, None
