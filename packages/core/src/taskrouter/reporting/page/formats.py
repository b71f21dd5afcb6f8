"""How values are written for people. Unknown is a word or a dash, never a zero."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from taskrouter.calibration.report import Interval
from taskrouter.explaining import plain
from taskrouter.reporting.amounts import Range
from taskrouter.reporting.table import Column

UNKNOWN: Final = "–"
LONGEST: Final = 80
"""Characters of a name that are shown."""
_NOTHING_USD: Final = 1e-9
_BREAKS: Final = re.compile(r"[_/]")
_BROKEN: Final = r"\g<0><wbr>"
"""A long name may go on in the next line after these signs."""
_MINUS: Final = "\N{MINUS SIGN}"


def usd(amount: float | None, digits: int | None = None) -> str:
    """Money: cents from a dollar on, three significant digits below.

    Args:
        amount: US dollars.
        digits: behind the point, where amounts stand above each other.
    """
    if amount is None:
        return UNKNOWN
    size = abs(amount)
    if digits is None:
        digits = usd_digits([size])
    if 0 < size < 0.5 * 10**-digits:
        return f"{'below ' if amount > 0 else f'above {_MINUS}'}${10**-digits:.{digits}f}"
    return f"{_MINUS if amount < 0 else ''}${size:,.{digits}f}"


def usd_digits(amounts: Iterable[float]) -> int:
    """Return how many digits behind the point the largest of some amounts needs."""
    largest = max(map(abs, amounts), default=0.0)
    return 2 if largest >= 1 or largest < _NOTHING_USD else min(9, 2 - math.floor(math.log10(largest)))


def counted(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share. What is too small for the digits is said to be below the smallest that they show."""
    if share is None:
        return UNKNOWN
    size, smallest = 100 * abs(share), 10**-digits
    if size < smallest / 2:
        return f"below {smallest:g} %" if share > 0 else "0 %"
    return f"{_MINUS if share < 0 else ''}{size:,.{digits}f} %"


def seconds(value: float | None) -> str:
    """A time, in the unit that suits it."""
    if value is None:
        return UNKNOWN
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    if value < 7200:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h" if value < 172_800 else f"{value / 86_400:.1f} days"


def moment(at_s: float | None) -> str:
    """A time of day, in UTC."""
    return UNKNOWN if at_s is None else f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M}"


def name(text: str | None) -> str:
    """A name from outside, as markup: cut, escaped, and in a direction of its own."""
    if not text:
        return UNKNOWN
    return f"<bdi>{_BREAKS.sub(_BROKEN, escape(shortened(text)))}</bdi>"


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text of at most so many characters, without signs that cannot be seen or that turn a text around."""
    text = plain(text[: longest + 1])
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def within(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    """An interval, as markup that stands below its figure; nothing where there is none."""
    if low is None or high is None:
        return ""
    return f'<span class="within">{escape(write(low))} to {escape(write(high))}</span>'


def saving(of: Range) -> str:
    """A saving as a share with its interval, or how many times as dear it was where a share says nothing."""
    if of.value > -1:
        return f"{percent(of.value)}{within(of.low, of.high, percent)}"
    low, high = (None if bound is None else 1 - bound for bound in (of.high, of.low))
    return f"{1 - of.value:.1f}× as dear{within(low, high, lambda times: f'{times:.1f}')}"


def cell(column: Column, value: Any, digits: int | None = None) -> str:
    """A value of a table, as markup.

    Args:
        column: where it stands.
        value: the value.
        digits: of money in this column, behind the point.
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, Range):
        return saving(value) if column.kind == "share_range" else _range(value, digits)
    if isinstance(value, Interval):
        return f"{percent(value.mean)}{within(value.low, value.high, lambda bound: percent(bound, 0))}"
    if isinstance(value, int | float) and math.isfinite(value):
        return usd(value, digits) if column.kind == "usd" else escape(_WRITERS[column.kind](value))
    return name(str(value)) if column.kind == "name" else escape(shortened(str(value), 3 * LONGEST))


def _range(value: Range, digits: int | None) -> str:
    return f"{usd(value.value, digits)}{within(value.low, value.high, lambda bound: usd(bound, digits))}"


_WRITERS: Final[dict[str, Any]] = {
    "share": percent,
    "seconds": seconds,
    "time": moment,
    "count": lambda count: f"{count:,}",
}
