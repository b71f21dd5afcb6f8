"""What a state file is asked: SQL in, values out. Every writing function runs inside the writer's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from taskrouter.state.rules import fits
from taskrouter.state.store import Claim, Entry, LogRecord, Report, Total

SWEPT_AT_ONCE = 500
TRIMMED_AT_ONCE = 2000

_ACCOUNT = """
SELECT a.spent, a.held, a.owners, a.expires_at_s, p.spent, p.held
FROM accounts a LEFT JOIN parts p ON p.account = a.account AND p.owner = ? WHERE a.account = ?"""
_WRITE_PART = "INSERT OR REPLACE INTO parts (account, owner, spent, held) VALUES (?, ?, ?, ?)"
_WRITE_ACCOUNT = "INSERT OR REPLACE INTO accounts (account, spent, held, owners, expires_at_s) VALUES (?, ?, ?, ?, ?)"
_BEHIND_THOSE_KEPT = "SELECT position FROM records WHERE log = ? ORDER BY position DESC LIMIT 1 OFFSET ?"
_FIRST_YOUNG = "SELECT position - 1 FROM records WHERE log = ? AND at_s >= ? ORDER BY position LIMIT 1"
_FORGET = """
DELETE FROM records WHERE position IN (
    SELECT position FROM records WHERE log = ? AND position <= ? ORDER BY position LIMIT ?
)"""
_NOTHING = (0, 0, 0, None, None, None)


def put(connection: sqlite3.Connection, space: str, entries: Mapping[str, Entry | None]) -> None:
    """Write entries of a space; None removes one."""
    for name, entry in entries.items():
        if entry is None:
            connection.execute("DELETE FROM entries WHERE space = ? AND name = ?", (space, name))
        else:
            row = (space, name, entry.value, entry.expires_at_s)
            connection.execute(
                "INSERT OR REPLACE INTO entries (space, name, value, expires_at_s) VALUES (?, ?, ?, ?)", row
            )


def entries(connection: sqlite3.Connection, space: str, now_s: float) -> dict[str, Entry]:
    """Return the entries of a space that have not expired."""
    query = (
        "SELECT name, value, expires_at_s FROM entries WHERE space = ? AND (expires_at_s IS NULL OR expires_at_s > ?)"
    )
    return {name: Entry(value=value, expires_at_s=at) for name, value, at in connection.execute(query, (space, now_s))}


def claim(connection: sqlite3.Connection, owner: str, claims: Sequence[Claim], now_s: float) -> Report:
    """Check all claims against the others' totals, then write all of them or none."""
    before, others = [], []
    for wanted in claims:
        spent, held, owners, expires_at_s, own_spent, own_held = (
            connection.execute(_ACCOUNT, (owner, wanted.account)).fetchone() or _NOTHING
        )
        if expires_at_s is not None and expires_at_s <= now_s:
            _forget(connection, [wanted.account])
            spent, held, owners, _, own_spent, own_held = _NOTHING
        known = own_spent is not None
        own_spent, own_held = own_spent or 0, own_held or 0
        before.append(own_spent + own_held)
        others.append(
            Total(account=wanted.account, spent=spent - own_spent, held=held - own_held, owners=owners - known)
        )
    granted = all(
        fits(wanted, before=was, others=total.spent + total.held)
        for wanted, was, total in zip(claims, before, others, strict=True)
    )
    if granted:
        for wanted, total in zip(claims, others, strict=True):
            sums = (total.spent + wanted.spent, total.held + wanted.held, total.owners + 1)
            connection.execute(_WRITE_PART, (wanted.account, owner, wanted.spent, wanted.held))
            connection.execute(_WRITE_ACCOUNT, (wanted.account, *sums, wanted.expires_at_s))
    return Report(granted=granted, others=tuple(others))


def append(connection: sqlite3.Connection, rows: Sequence[tuple[str, float, str]]) -> None:
    """Add records, each with its log and its time."""
    connection.executemany("INSERT INTO records (log, at_s, text) VALUES (?, ?, ?)", rows)


def read(connection: sqlite3.Connection, log: str, after: int, limit: int) -> tuple[LogRecord, ...]:
    """Return records of a log behind a position."""
    # A damaged file may hold anything in any column; what is no text is left to whoever reads the record.
    query = """SELECT position, CAST(at_s AS REAL), CAST(text AS TEXT) FROM records
        WHERE log = ? AND position > ? ORDER BY position LIMIT ?"""
    rows = connection.execute(query, (log, after, limit))
    return tuple(LogRecord(position=f"{position:020d}", at_s=at_s, text=text) for position, at_s, text in rows)


class Oldest(NamedTuple):
    """The records of a log that are to be forgotten."""

    log: str
    keep: int | None
    before_s: float | None


def trim(connection: sqlite3.Connection, oldest: Oldest) -> bool:
    """Delete the oldest records of a log, so many at once that nobody waits for it; return whether there are more."""
    ends = []
    if oldest.keep is not None:
        ends.append(connection.execute(_BEHIND_THOSE_KEPT, (oldest.log, max(oldest.keep, 0))).fetchone())
    if oldest.before_s is not None:
        young = connection.execute(_FIRST_YOUNG, (oldest.log, oldest.before_s)).fetchone()
        ends.append(young or connection.execute(_BEHIND_THOSE_KEPT, (oldest.log, 0)).fetchone())
    last = max((end[0] for end in ends if end is not None), default=None)
    if last is None:
        return False
    return connection.execute(_FORGET, (oldest.log, last, TRIMMED_AT_ONCE)).rowcount == TRIMMED_AT_ONCE


def sweep(connection: sqlite3.Connection, now_s: float) -> None:
    """Delete what has expired, so much at once that nobody waits for it."""
    connection.execute(
        "DELETE FROM entries WHERE (space, name) IN (SELECT space, name FROM entries WHERE expires_at_s <= ? LIMIT ?)",
        (now_s, SWEPT_AT_ONCE),
    )
    expired = "SELECT account FROM accounts WHERE expires_at_s <= ? LIMIT ?"
    _forget(connection, [account for (account,) in connection.execute(expired, (now_s, SWEPT_AT_ONCE))])


def _forget(connection: sqlite3.Connection, accounts: Sequence[str]) -> None:
    for account in accounts:
        connection.execute("DELETE FROM parts WHERE account = ?", (account,))
        connection.execute("DELETE FROM accounts WHERE account = ?", (account,))
