"""A table of the report: what each column is, and its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal[
    "name", "text", "count", "usd", "usd_range", "share", "share_range", "seconds", "score", "time"
]
"""What a column holds: `score` is an `Interval`, the ranges are `Range`, `time` is seconds since the epoch."""


class Column(NamedTuple):
    """A column: its name in files, its title for people, and what it holds."""

    name: str
    title: str
    kind: Kind = "name"


class Table(NamedTuple):
    """A table of the report."""

    name: str
    """Of its file, and of its place on the page."""
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    note: str = ""
