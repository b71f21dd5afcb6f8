"""Opening a state file, and what goes wrong with one."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path

from taskrouter.errors import ConfigurationError, StoreUnavailable
from taskrouter.state.sqlite_schema import migrate

_NOT_OURS = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PAUSE_S = 0.01
_LOOK_S = 0.002


class StateFile:
    """Where the state is, and how connections to it are made.

    Args:
        path: the file.
        timeout_s: how long to wait for other processes' locks.

    Raises:
        ConfigurationError: there is no such folder, or there is a folder in the file's place.
    """

    def __init__(self, path: str | Path, *, timeout_s: float) -> None:
        self.path = Path(path).absolute()
        self._timeout_s = timeout_s
        if not self.path.parent.is_dir():
            raise ConfigurationError(f"state file {self.path}: the folder {self.path.parent} does not exist: make it")
        if self.path.is_dir():
            raise ConfigurationError(f"state file {self.path} is a folder: name a file in it")

    def connect(self) -> sqlite3.Connection:
        """Open the file, make it or bring it up to date.

        Raises:
            ConfigurationError: the file is no database of ours, or of a newer version.
            StoreUnavailable: it is locked, or cannot be read or written.
        """
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._connected()
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
        return StoreUnavailable(f"state file {self.path} cannot be used at the moment: {error}")

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
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


def _code(error: sqlite3.Error) -> int | None:
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF
