"""How long a provider asks us to wait, in all the forms that providers say it in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_LONGEST_S = 30 * 86_400.0
"""No pause is longer: clocks and timers overflow on what a broken header can say, and no call waits that long."""

_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

_EPOCH_S, _EPOCH_MS = 1e9, 1e11
"""A number from here on is a moment and not a wait: 1e9 s is 31 years, as a moment it is 2001."""


def retry_after_s(headers: Mapping[Any, Any], *, now: datetime | None = None, limits: bool = True) -> float | None:
    """Return the seconds to wait that an answer's headers ask for, between 0 and 30 days, or None.

    First what is meant for us: `retry-after-ms`, then `Retry-After` (seconds, or an HTTP date, RFC 9110 10.2.3).
    Without these, the windows of rate limits that are used up: `x-ratelimit-reset-requests` (OpenAI, Groq: `1s`,
    `6m0s`, `20ms`; others: seconds, or seconds or milliseconds of the epoch) and `anthropic-ratelimit-requests-reset`
    (RFC 3339), each beside its `remaining`. A window whose rest is not told counts only where no other is used up.

    Args:
        headers: of the answer; names in any case.
        now: the moment that dates are compared with; the current time by default.
        limits: whether windows count: only in answers that turn a call away for the load (429, 503).
    """
    said = {_text(name).lower(): _text(value).strip() for name, value in headers.items()}
    milliseconds = _number(said.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    now = now or datetime.now(UTC)
    seconds = _wait_s(said.get("retry-after", ""), now)
    if seconds is None and limits:
        return _used_up_s(said, now)
    return seconds


def retry_delay_s(bodies: Iterable[Mapping[Any, Any]]) -> float | None:
    """Return the seconds to wait that a Google error's body asks for: `google.rpc.RetryInfo`, as in `"34s"`."""
    for body in bodies:
        details = body.get("details")
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, Mapping) and isinstance(delay := detail.get("retryDelay"), str):
                return _duration_s(delay)
    return None


def _used_up_s(said: Mapping[str, str], now: datetime) -> float | None:
    used_up: list[float] = []
    untold: list[float] = []
    for name, value in said.items():
        if "ratelimit" not in name or "reset" not in name:
            continue
        remaining = _number(said.get(name.replace("reset", "remaining"), ""))
        allowed = said.get(name.replace("reset", "status"), "").startswith("allowed")
        if allowed or (remaining is not None and remaining > 0):
            continue
        seconds = _wait_s(value, now)
        if seconds is not None:
            (untold if remaining is None else used_up).append(seconds)
    return max(used_up or untold, default=None)


def _wait_s(text: str, now: datetime) -> float | None:
    number = _number(text)
    if number is not None:
        if number >= _EPOCH_MS:
            number /= 1000
        return _bounded(number - now.timestamp() if number >= _EPOCH_S else number)
    seconds = _duration_s(text)
    return _until_s(text, now) if seconds is None else seconds


def _duration_s(text: str) -> float | None:
    if not _DURATION.fullmatch(text):
        return None
    return _bounded(sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text)))


def _until_s(text: str, now: datetime) -> float | None:
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            then = parse(text)
            aware = then if then.tzinfo else then.replace(tzinfo=UTC)
            return _bounded((aware - now).total_seconds())
        except (ValueError, TypeError, IndexError, OverflowError):  # what these parsers are known to raise on odd text
            continue
    return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_S)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
