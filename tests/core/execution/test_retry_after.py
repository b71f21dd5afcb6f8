"""How long a provider asks us to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskrouter.execution.retry_after import retry_after_s, retry_delay_s

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MONTH_S = 30 * 86_400.0

NAMES = st.sampled_from(
    [
        "retry-after",
        "Retry-After-Ms",
        "x-ratelimit-reset-requests",
        "x-ratelimit-remaining-requests",
        "X-RateLimit-Reset",
        "anthropic-ratelimit-tokens-reset",
        "anthropic-ratelimit-tokens-status",
    ]
)
NUMBERS = st.floats().map(str) | st.integers().map(str)
DURATIONS = st.lists(st.tuples(st.integers(0, 10**400), st.sampled_from(["ms", "s", "m", "h", "d", "µs"]))).map(
    lambda parts: "".join(f"{number}{unit}" for number, unit in parts)
)
MOMENTS = st.datetimes().map(lambda moment: moment.isoformat() + "Z") | st.datetimes().map(str)
HTTP_DATES = st.from_regex(r"\A(Fri, )?\d{1,3} (Nov|Foo) \d{1,6} \d\d:\d\d:\d\d ([+-]\d{4,9}|GMT|)\Z")
VALUES = st.text() | NUMBERS | DURATIONS | MOMENTS | HTTP_DATES | st.binary() | st.integers() | st.floats() | st.none()


@given(st.dictionaries(NAMES | st.text(), VALUES))
@example({"retry-after": "9" * 400 + "s"})
@example({"retry-after": "Fri, 20 Nov 2026 12:00:30 -9999999999999"})
@example({"retry-after": "0001-01-01T00:00:00+23:59"})
@example({"x-ratelimit-reset": "1e308"})
def test_no_header_can_break_the_reading(headers: dict[str, Any]) -> None:
    wait_s = retry_after_s(headers, now=NOW)
    assert wait_s is None or 0.0 <= wait_s <= MONTH_S  # which no NaN is


@given(st.text() | DURATIONS)
def test_no_delay_in_a_body_can_break_the_reading(delay: str) -> None:
    wait_s = retry_delay_s([{"details": [None, {"retryDelay": delay}]}])
    assert wait_s is None or 0.0 <= wait_s <= MONTH_S


@given(st.integers(0, 10**6))
def test_seconds_mean_seconds_in_every_header(seconds: int) -> None:
    for name in ("Retry-After", "RETRY-AFTER", "x-ratelimit-reset-requests", "ratelimit-reset"):
        assert retry_after_s({name: str(seconds)}, now=NOW) == seconds
        assert retry_after_s({name: f"{seconds}s"}, now=NOW) == seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1s", 1.0),
        ("20ms", 0.02),
        ("6m0s", 360.0),
        ("1h2m", 3720.0),
        ("2m59.56s", 179.56),
        ("1d", 86_400.0),
        ("33011.382867", 33011.382867),
        (str(NOW.timestamp() + 40), 40.0),
        (str(int(NOW.timestamp() + 40) * 1000), 40.0),
        ("2026-11-20T12:00:50Z", 50.0),
        ("2026-11-20T13:00:50+01:00", 50.0),
        ("2026-11-20T11:00:00Z", 0.0),
        ("soon", None),
        ("1s later", None),
        ("", None),
    ],
)
def test_a_window_is_read_in_all_its_forms(value: str, expected: float | None) -> None:
    assert retry_after_s({"x-ratelimit-reset-requests": value}, now=NOW) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # OpenAI, Groq: only the window that is used up counts
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "9000",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            1.0,
        ),
        # both are: the longer one
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            360.0,
        ),
        # what is known to be used up beats what is not told
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            1.0,
        ),
        ({"x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "6m0s"}, None),
        (
            {
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-20T12:00:07Z",
            },
            7.0,
        ),
        (
            {
                "anthropic-ratelimit-unified-7d-status": "allowed_warning",
                "anthropic-ratelimit-unified-7d-reset": str(int(NOW.timestamp()) + 100_000),
                "anthropic-ratelimit-unified-5h-status": "rejected",
                "anthropic-ratelimit-unified-5h-reset": str(int(NOW.timestamp()) + 60),
            },
            60.0,
        ),
        ({"Retry-After": "2", "x-ratelimit-reset-requests": "1h"}, 2.0),
        ({"Retry-After": "soon", "x-ratelimit-reset-requests": "3s"}, 3.0),
        ({"Retry-After": "99999999"}, MONTH_S),
    ],
)
def test_windows_count_as_far_as_they_are_used_up(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers, now=NOW) == expected
    assert retry_after_s(httpx.Headers(headers), now=NOW) == expected


def test_windows_do_not_count_in_answers_that_were_not_turned_away_for_the_load() -> None:
    assert retry_after_s({"x-ratelimit-reset-requests": "1s"}, now=NOW, limits=False) is None
    assert retry_after_s({"retry-after": "1"}, now=NOW, limits=False) == 1.0


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}], 34.0),
        ([{"@type": "type.googleapis.com/google.rpc.QuotaFailure"}, {"retryDelay": "34.074824224s"}], 34.074824224),
        ([{"retryDelay": "-3s"}], None),
        ([{"retryDelay": 34}], None),
        ({"retryDelay": "34s"}, None),
        (None, None),
    ],
)
def test_googles_delay_is_read_from_the_body(details: object, expected: float | None) -> None:
    assert retry_delay_s([{"code": 429}, {"details": details}]) == expected
