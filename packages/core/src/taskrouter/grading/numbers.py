"""Finds numbers in what models write: `1,200.50`, `3/4`, `\\frac{3}{4}`, `-2e3`."""

from __future__ import annotations

import math
import re

_LATEX = re.compile(r"\\[dt]?frac\{\s*(-?\d+)\s*\}\{\s*(\d+)\s*\}")
_THIN = re.compile(r"(?<=\d)\\[,!](?=\d)")
_NUMBER = re.compile(
    r"(?:(?<![\w.)\]}])[-\u2212])?"  # in `16-3` the sign is none
    r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:[eE][-+]?\d+(?!\w))?"
    r"(?:/\d+(?![\d/.]))?"
)


MAX_CHARS = 20_000
"""Of a text that are searched: its beginning, or for the last number its end."""


def numbers_in(text: str) -> list[float]:
    """Return the finite numbers of a text, in its order. A fraction is one number; a sign of per cent is ignored."""
    plain = _THIN.sub("", _LATEX.sub(r"\1/\2", text[:MAX_CHARS]))
    values = (_value(match[0]) for match in _NUMBER.finditer(plain))
    return [value for value in values if value is not None]


def final_number(text: str) -> float | None:
    """Return the last number of a text, which is where models put their result, or None."""
    numbers = numbers_in(text[-MAX_CHARS:])
    return numbers[-1] if numbers else None


def _value(written: str) -> float | None:
    above, _, below = written.replace(",", "").replace("\u2212", "-").partition("/")
    try:
        value = float(above) / float(below) if below else float(above)
    except (ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) else None
