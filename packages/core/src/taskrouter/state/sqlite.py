"""State in one SQLite file, for the processes of one machine."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from taskrouter.errors import StoreUnavailable
from taskrouter.state import forks
from taskrouter.state import sqlite_statements as statements
from taskrouter.state.rules import checked
from taskrouter.state.sqlite_file import StateFile, abandon
from taskrouter.state.sqlite_writer import Writer
from taskrouter.state.store import Claim, Entry, LogRecord, Report

_IDLE_READERS = 8


class SQLiteStore:
    """A `StateStore` in a SQLite file, which several processes may open.

    One thread writes. What all callers want written at the same moment becomes one transaction, and every caller waits
    for it. Log records are on the disk when `append` returns, and survive a loss of power. Entries and claims have left
    this process by then: they survive its end, `kill -9` included, but the newest may be lost with the power.

    Args:
        path: the file; it is made if it does not exist, its folder is not. It must be on a local disk: SQLite's
            write-ahead log does not work over a network file system.
        timeout_s: how long a call may take before it raises `StoreUnavailable`.
        sweep_s: how often what has expired is removed from the file.
        clock: seconds since the epoch.
        read_only: the file is there, and only read: no other file and no table is made, and it need not be writable.
            Whatever would write raises `StoreUnavailable`.

    Raises:
        ConfigurationError: the folder does not exist, the file is not ours, or it was written by a newer version.
        StoreUnavailable: the file is locked, or cannot be read or written.
    """

    name = "sqlite"
    shared = True

    def __init__(
        self,
        path: str | Path,
        *,
        timeout_s: float = 2.0,
        sweep_s: float = 60.0,
        clock: Callable[[], float] = time.time,
        read_only: bool = False,
    ) -> None:
        self._clock = clock
        # Half of the time for another process's lock, so that those who came while we waited are served too.
        self._file = StateFile(path, timeout_s=timeout_s / 2, read_only=read_only)
        self._idle = [self._file.connect()]
        self._writer = Writer(self._file, timeout_s=timeout_s, sweep_s=sweep_s, clock=clock)
        self._end = weakref.finalize(self, _let_go, self._writer, self._idle)  # runs at the interpreter's exit, too
        forks.watch(self)

    def put(self, space: str, entries: Mapping[str, Entry | None]) -> None:
        """Write entries of a space; None removes one.

        Raises:
            StoreUnavailable: the file is locked or cannot be written.
        """
        written = dict(entries)
        self._writer.write(lambda connection: statements.put(connection, space, written))

    def entries(self, space: str) -> Mapping[str, Entry]:
        """Return the entries of a space that have not expired.

        Raises:
            StoreUnavailable: the file is locked or cannot be read.
        """
        with self._reading() as connection:
            return statements.entries(connection, space, self._clock())

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        """Write what an owner has used, all of it or, if a limit would be broken, nothing.

        Raises:
            StoreUnavailable: the file is locked or cannot be written.
            ValueError: a claim is negative or too large, or an account is claimed twice.
        """
        wanted, now_s = tuple(checked(owner, claims)), self._clock()
        return self._writer.write(lambda connection: statements.claim(connection, owner, wanted, now_s))

    def append(self, log: str, texts: Sequence[str]) -> None:
        """Add records to a log. When this returns they are on the disk.

        Raises:
            StoreUnavailable: the file is locked or cannot be written. The records may have been written nevertheless.
        """
        now_s = self._clock()
        rows = [(log, now_s, text) for text in texts]
        if rows:
            self._writer.write(lambda connection: statements.append(connection, rows), durable=True)

    def read(self, log: str, *, after: str | None = None, limit: int = 1000) -> Sequence[LogRecord]:
        """Return records in their order, from the first or from the one after a position.

        Raises:
            StoreUnavailable: the file is locked or cannot be read.
            ValueError: the position is none of this store's.
        """
        if after is not None and not after.isdecimal():
            raise ValueError(f"{after!r} is no position in a log of a SQLite store")
        with self._reading() as connection:
            return statements.read(connection, log, int(after or 0), max(limit, 0))

    def trim(self, log: str, *, keep: int | None = None, before_s: float | None = None) -> None:
        """Forget the oldest records of a log, by their number, their age or both.

        They go in parts, between which other writers have their turn. The file does not shrink: what comes next takes
        their place in it.

        Raises:
            StoreUnavailable: the file is locked or cannot be written.
        """
        oldest = statements.Oldest(log, keep, before_s)
        while self._writer.write(lambda connection: statements.trim(connection, oldest)):
            pass

    def close(self) -> None:
        """Write what is under way and close the file. Later calls raise `StoreUnavailable`."""
        self._end()

    def before_fork(self) -> None:
        """Let the transaction that is under way end."""
        self._writer.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on writing."""
        self._writer.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Open the file anew when it is needed."""
        abandon(*self._idle)
        self._idle.clear()
        self._writer.after_fork_in_child()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection of its own to a reader: readers wait neither for each other nor for the writer."""
        if not self._end.alive:
            raise StoreUnavailable(f"state file {self._file.path} has been closed")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._file.connect()
        try:
            yield connection
        except sqlite3.Error as error:
            connection.close()
            raise self._file.unavailable(error) from error
        if self._end.alive and len(self._idle) < _IDLE_READERS:
            self._idle.append(connection)
        else:
            connection.close()


def _let_go(writer: Writer, idle: list[sqlite3.Connection]) -> None:
    writer.close()
    while idle:
        idle.pop().close()
