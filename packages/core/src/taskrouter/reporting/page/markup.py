"""Tables and sections as markup that keyboards and screen readers find their way in."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from taskrouter.reporting.amounts import Range
from taskrouter.reporting.page.formats import cell, usd_digits
from taskrouter.reporting.table import Column, Table

ROWS: Final = 20
"""Rows of a table that are shown; the rest is counted, and in the JSON and CSV."""
_WIDE: Final = ("name", "text")


def table(
    given: Table, *, rows: int = ROWS, hide: Sequence[str] = (), last: Sequence[Sequence[Any]] = (), empty: str = ""
) -> str:
    """Return a table in a region of its own, which scrolls where the window is too narrow.

    Args:
        given: the table; its first column names the row.
        rows: how many are shown.
        hide: columns that are left out, and those that are empty in every row are left out as well.
        last: rows of sums.
        empty: what stands in place of a table without rows.
    """
    if not given.rows:
        return f'<p class="note">{escape(empty)}</p>' if empty else ""
    kept = [i for i, column in enumerate(given.columns) if column.name not in hide and _said(given, i)]
    columns = [given.columns[i] for i in kept]
    head = "".join(_head(column) for column in columns)
    digits = [_digits(column, [row[i] for row in given.rows]) for i, column in zip(kept, columns, strict=True)]
    shown = [_row(columns, [row[i] for i in kept], digits) for row in given.rows[:rows]]
    shown += [_row(columns, [row[i] for i in kept], digits, "sum") for row in last]
    left = len(given.rows) - rows
    more = f'<p class="small">{left:,} more rows are in the JSON and CSV.</p>' if left > 0 else ""
    id_ = f"t-{given.name}"
    return (
        f'<div class="scroll" role="region" aria-labelledby="{id_}" tabindex="0"><table><caption id="{id_}">'
        f"{escape(given.title)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(shown)}</tbody></table></div>{more}"
    )


def note(text: str) -> str:
    """Return a paragraph that explains, from plain text."""
    return f'<p class="note">{escape(text)}</p>'


def _said(given: Table, i: int) -> bool:
    """Whether a column says anything; what only counts gaps is left out where there are none."""
    values = [row[i] for row in given.rows]
    gaps = given.columns[i].name in {"unpriced_calls", "missing_steps"}
    return any(value not in (None, "") for value in values) and not (gaps and not any(values))


def _head(column: Column) -> str:
    title = escape(column.title) or '<span aria-hidden="true"></span>'
    return f'<th scope="col" class="{_class(column)}">{title}</th>' if column.title else "<td></td>"


def _digits(column: Column, values: Sequence[Any]) -> int | None:
    """Money that stands above other money has as many digits."""
    amounts = [value.value if isinstance(value, Range) else value for value in values if value is not None]
    return usd_digits(amounts) if column.kind in {"usd", "usd_range"} else None


def _row(columns: Sequence[Column], values: Sequence[Any], digits: Sequence[int | None], kind: str = "") -> str:
    first, *others = [
        _cell(column, value, places, head=i == 0)
        for i, (column, value, places) in enumerate(zip(columns, values, digits, strict=True))
    ]
    return f"<tr{f' class={kind}' if kind else ''}>{first}{''.join(others)}</tr>"


def _cell(column: Column, value: Any, digits: int | None, *, head: bool) -> str:
    text = cell(column, value, digits)
    if column.name == "share" and column.kind == "share" and isinstance(value, float):
        width = max(0.0, min(1.0, value))
        bar = f'<span class="track"><span class="bar" style="width:{4 * width:.2f}rem"></span></span>'
        text = f'{bar}<span class="of">{text}</span>'
    if head:
        return f'<th scope="row" class="{_class(column)}">{text}</th>'
    return f'<td class="{_class(column)}">{text}</td>'


def _class(column: Column) -> str:
    return "w" if column.kind in _WIDE else "n"
