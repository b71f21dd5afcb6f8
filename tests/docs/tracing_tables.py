"""Writes the tables of `docs/tracing.md` between their marks: python -m tests.docs.tracing_tables

They are made from the tables of attributes and of metrics in the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import ROOT

from taskrouter.observability.attribute_table import ATTRIBUTES, Attribute, Place
from taskrouter.observability.conventions import Convention
from taskrouter.observability.metric_table import METRICS, Metric

PAGE: Path = ROOT / "docs" / "tracing.md"
_PART = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_WHOSE = {"facts": "", "context": "yours", "content": "content"}


def parts() -> Mapping[str, str]:
    """Return each table by the name that stands in its mark."""
    return {
        "route": _attributes("route"),
        "chat": _attributes("chat"),
        "feedback": _attributes("feedback"),
        "metrics": _metrics(None),
        "released": _metrics("released"),
        "newest": _metrics("newest"),
        "labels": _rows(("label", "meaning"), [(_code(a.name), a.meaning) for a in ATTRIBUTES if not a.on]),
    }


def filled(text: str) -> str:
    """Return a page with its tables as the code has them."""
    known = parts()
    return _PART.sub(lambda found: f"{found[1]}{known[found[2]]}{found[3]}", text)


def marked(text: str) -> list[str]:
    """Return the names of the tables that a page has marks for."""
    return [found[2] for found in _PART.finditer(text)]


def _attributes(place: Place) -> str:
    head = ("attribute", "type", "known at", "whose words", "meaning")
    return _rows(head, [_attribute(row, place) for row in ATTRIBUTES if place in row.on])


def _attribute(row: Attribute, place: Place) -> tuple[str, ...]:
    return _code(row.name), row.type, row.on[place], _WHOSE[row.origin], row.meaning


def _metrics(convention: Convention | None) -> str:
    head = ("metric", "kind, unit", "labels", "meaning")
    return _rows(head, [_metric(row) for row in METRICS if row.convention == convention])


def _metric(row: Metric) -> tuple[str, ...]:
    labels = [_code(name) for name in row.labels] + [f"{_code(name)} where it applies" for name in row.sometimes]
    buckets = f"; {len(row.buckets)} buckets, {row.buckets[0]:.9g} to {row.buckets[-1]:.9g}" if row.buckets else ""
    return _code(row.name), f"{row.kind}, {_code(row.unit)}", ", ".join(labels), row.meaning.rstrip(".") + buckets


def _code(text: str) -> str:
    return f"`{text}`"


def _rows(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n".replace("|  |", "| |") for cells in lines).replace("| --- ", "|---")


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
