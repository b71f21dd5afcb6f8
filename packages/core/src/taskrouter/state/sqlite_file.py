"""Opening a state file, and what goes wrong with one."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from taskrouter.errors import ConfigurationError, StoreUnavailable
from taskrouter.state.sqlite_schema import kept, migrate

_NOT_OURS = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_NO_ACCESS = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_PAUSE_S = 0.01
_LOOK_S = 0.002


class StateFile:
    """Where the state is, and how connections to it are made.

    Args:
        path: the file.
        timeout_s: how long to wait for other processes' locks.
        read_only: nothing is ever written: the file must be there, and may be one that cannot be written.

    Raises:
        ConfigurationError: there is no such folder, or there is a folder in the file's place.
    """

    def __init__(self, path: str | Path, *, timeout_s: float, read_only: bool = False) -> None:
        self.path = Path(path).absolute()
        self._timeout_s = timeout_s
        self._read_only = read_only
        if not self.path.parent.is_dir():
            raise ConfigurationError(f"state file {self.path}: the folder {self.path.parent} does not exist: make it")
        if self.path.is_dir():
            raise ConfigurationError(f"state file {self.path} is a folder: name a file in it")

    def connect(self) -> sqlite3.Connection:
        """Open the file; make it or bring it up to date, unless it is only to be read.

        Raises:
            ConfigurationError: the file is no database of ours, or of a newer version.
            StoreUnavailable: it is locked, or cannot be read or written.
        """
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._reading() if self._read_only else self._connected()
            except sqlite3.Error as error:
                # When several processes make a file at once, SQLite says "locked" without waiting.
                if _code(error) in _BUSY and time.monotonic() < deadline_s:
                    time.sleep(_PAUSE_S)
                    continue
                if _code(error) in _NOT_OURS:
                    raise ConfigurationError(
                        f"{self.path} is no SQLite database, or a damaged one: "
                        "move it away, or name another file for the state"
                    ) from error
                raise self.unavailable(error) from error

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin to write, as soon as no other process does.

        SQLite's own waiting looks after ever longer pauses, and finds nothing but locks where another process commits
        without a pause. Looking often and at random moments finds the gap.

        Raises:
            sqlite3.Error: the file is still locked when the time is over, or cannot be written.
        """
        deadline_s = time.monotonic() + self._timeout_s
        connection.execute("PRAGMA busy_timeout = 0")
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _code(error) not in _BUSY or time.monotonic() >= deadline_s:
                    raise
                time.sleep(random.uniform(0.1, 1.0) * _LOOK_S)
            else:
                return

    def unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        """Return what to raise for an error of the database."""
        hint = ""
        if _code(error) in _NO_ROOM:
            hint = ": is the disk full? Free some space, or name a file elsewhere as `[state] url`"
        elif _code(error) in _NOT_OURS:
            hint = ": it is damaged: move it away, or try what `sqlite3 FILE .recover` finds in it"
        elif self._read_only and _code(error) in _NO_ACCESS:
            hint = ": copy it, with the -wal file beside it, into a folder that you may write to"
        return StoreUnavailable(f"state file {self.path} cannot be used at the moment: {error}{hint}")

    def _connected(self) -> sqlite3.Connection:
        connection = self._opened(str(self.path))
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _reading(self) -> sqlite3.Connection:
        """Open the file to read it, with what other processes are writing if there are any.

        SQLite needs its two files beside ours for that, and leaves them there if it may not write ours. Where they can
        neither be found nor made, nobody writes, and the file is read as it is.
        """
        writable = os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
        try:
            return self._read_as("rw" if writable else "ro")
        except sqlite3.OperationalError as error:
            log = self.path.with_name(self.path.name + "-wal")
            if _code(error) not in _NO_ACCESS or (log.exists() and log.stat().st_size):
                raise
            return self._read_as("ro&immutable=1")

    def _read_as(self, mode: str) -> sqlite3.Connection:
        connection = self._opened(f"file:{quote(str(self.path))}?mode={mode}", uri=True)
        try:
            connection.execute("PRAGMA query_only = ON")
            kept(connection, str(self.path))
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened(self, address: str, *, uri: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            address,
            timeout=self._timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
            uri=uri,
        )
        connection.text_factory = _text
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ConfigurationError(
                f"state file {self.path}: its file system cannot keep a write-ahead log (SQLite offers {mode!r}): "
                "put the file on a local disk"
            )
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the disk's cache
        migrate(connection, str(self.path))


_abandoned: list[sqlite3.Connection] = []


def abandon(*connections: sqlite3.Connection) -> None:
    """Keep connections of a parent process from being closed in its child: even that may harm the file."""
    _abandoned.extend(connections)


def _text(stored: bytes) -> str:
    """Read text; bytes that are none, in a damaged file, cost their record and not all others."""
    return stored.decode(errors="replace")


def _code(error: sqlite3.Error) -> int | None:
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF
