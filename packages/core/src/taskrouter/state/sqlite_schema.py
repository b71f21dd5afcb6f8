"""The tables of a state file, and the steps that bring an older file up to date.

A step is never changed once it has been released: files out there have been through it. What is to be different comes
as a new step at the end.
"""

from __future__ import annotations

import sqlite3

from taskrouter.errors import ConfigurationError

APPLICATION_ID = 0x74726F75
"""Marks a file as ours ("trou" in ASCII), in SQLite's `PRAGMA application_id`."""

_TABLES = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """CREATE TABLE entries (
        space TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, expires_at_s REAL,
        PRIMARY KEY (space, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE accounts (
        account TEXT PRIMARY KEY, spent INTEGER NOT NULL, held INTEGER NOT NULL, owners INTEGER NOT NULL,
        expires_at_s REAL
    ) WITHOUT ROWID""",
    """CREATE TABLE parts (
        account TEXT NOT NULL, owner TEXT NOT NULL, spent INTEGER NOT NULL, held INTEGER NOT NULL,
        PRIMARY KEY (account, owner)
    ) WITHOUT ROWID""",
    """CREATE TABLE records (
        position INTEGER PRIMARY KEY AUTOINCREMENT, log TEXT NOT NULL, at_s REAL NOT NULL, text TEXT NOT NULL
    )""",
    "CREATE INDEX records_by_log ON records (log, position)",
)
_EXPIRY_INDEXES = (  # so that removing what has expired does not read whole tables
    "CREATE INDEX entries_by_expiry ON entries (expires_at_s) WHERE expires_at_s IS NOT NULL",
    "CREATE INDEX accounts_by_expiry ON accounts (expires_at_s) WHERE expires_at_s IS NOT NULL",
)

STEPS: tuple[tuple[str, ...], ...] = (_TABLES, _EXPIRY_INDEXES)
"""Step n makes a file of version n into one of version n + 1; version 0 is an empty file."""


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring a file to the newest version, in one transaction: another process never sees a half of it.

    Raises:
        ConfigurationError: the file is another application's, or of a newer version than this one knows.
        sqlite3.Error: the file cannot be read or written.
    """
    if _version(connection, path) == len(STEPS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[_version(connection, path) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def kept(connection: sqlite3.Connection, path: str) -> None:
    """Make sure of a file that is only to be read.

    Raises:
        ConfigurationError: there is nothing in it, or it is another application's or of a newer version.
        sqlite3.Error: the file cannot be read.
    """
    if not _version(connection, path):
        raise ConfigurationError(f"{path} is empty: no router has kept anything in it yet")


def _version(connection: sqlite3.Connection, path: str) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise ConfigurationError(f"{path} is a database of another application: name another file for the state")
    if version > len(STEPS):
        raise ConfigurationError(
            f"{path} has schema version {version}, and this TaskRouter knows versions up to {len(STEPS)}: "
            "upgrade taskrouter, or name another file for the state"
        )
    return int(version)
