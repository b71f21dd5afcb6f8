"""The page on tracing has the attributes and metrics of the code."""

from __future__ import annotations

from tests.docs.tracing_tables import PAGE, filled, marked, parts


def test_the_tables_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(marked(text)) == sorted(parts())
    assert filled(text) == text, "run: python -m tests.docs.tracing_tables"
