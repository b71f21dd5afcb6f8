"""Faults that are an HTTP error, as the OpenAI SDK meets them."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulator.conftest import ASK

from taskrouter.simulator.httpfaults import go_duration

RATE_LIMITS = ("rate_limit", "rate_limit_date", "rate_limit_ms", "rate_limit_reset")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "error", "status", "kind", "code"),
    [
        ("unauthorized", openai.AuthenticationError, 401, "invalid_request_error", "invalid_api_key"),
        ("forbidden", openai.PermissionDeniedError, 403, "request_forbidden", "unsupported_country_region_territory"),
        ("not_found", openai.NotFoundError, 404, "invalid_request_error", "model_not_found"),
        ("context_overflow", openai.BadRequestError, 400, "invalid_request_error", "context_length_exceeded"),
        ("bad_request", openai.BadRequestError, 400, "invalid_request_error", "invalid_value"),
        *((fault, openai.RateLimitError, 429, "requests", "rate_limit_exceeded") for fault in RATE_LIMITS),
    ],
)
def test_an_error_has_the_status_type_and_code_of_the_real_one(faulty, sim, fault, error, status, kind, code, stream):
    with pytest.raises(error) as caught:
        faulty(fault, stream=stream)
    assert (caught.value.status_code, caught.value.type, caught.value.code) == (status, kind, code)
    record = sim.requests[0]
    assert (record.status, record.fault, record.finish_reason, record.done) == (status, fault, None, True)
    assert caught.value.request_id == record.request_id


@pytest.mark.parametrize("stream", [False, True])
def test_an_overload_can_come_in_the_shape_of_anthropic(faulty, stream):
    with pytest.raises(openai.InternalServerError) as caught:
        faulty("overloaded_529", stream=stream)
    assert caught.value.status_code == 529
    assert caught.value.response.json() == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded: simulated."},
    }


def test_an_overflow_says_by_how_much(faulty):
    with pytest.raises(openai.BadRequestError, match=r"maximum context length is 128000 .* resulted in 128001 tokens"):
        faulty("context_overflow")


@pytest.fixture
def limits(start, body):
    """Return the headers of a rate limit of the named kind, which asks to wait so long."""

    def headers(fault: str, wait_s: float) -> httpx.Headers:
        server = start(script=[fault], faults={"retry_after_s": wait_s})
        return httpx.post(f"{server.base_url}/chat/completions", json=body()).headers

    return headers


def test_a_rate_limit_with_a_date_never_asks_for_less_than_the_wait(limits):
    asked = time.time()
    headers = limits("rate_limit_date", 2.5)
    assert headers["retry-after"].endswith(" GMT")
    until = parsedate_to_datetime(headers["retry-after"]).timestamp()
    assert asked + 2.5 <= until <= time.time() + 3.5
    assert "retry-after-ms" not in headers


def test_a_rate_limit_in_milliseconds_has_no_other_hint(limits):
    headers = limits("rate_limit_ms", 1.25)
    assert headers["retry-after-ms"] == "1250"
    assert "retry-after" not in headers


def test_a_rate_limit_may_tell_its_reset_alone(limits):
    headers = limits("rate_limit_reset", 1.5)
    assert not {"retry-after", "retry-after-ms"} & set(headers)
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"] == "1.5s"
    assert int(headers["x-ratelimit-remaining-tokens"]) > 0
    assert headers["x-ratelimit-reset-tokens"] == "6ms"


@pytest.mark.parametrize("fault", RATE_LIMITS)
def test_the_sdk_recovers_from_every_kind_of_rate_limit(start, client_of, fault):
    server = start(script=[fault, "ok"], faults={"retry_after_s": 0.01})
    client_of(server, max_retries=1).chat.completions.create(model="m", messages=ASK)
    assert [record.status for record in server.requests] == [429, 200]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (0.006, "6ms"),
        (0.9996, "1s"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (3661.25, "1h1m1.25s"),
        (7200, "2h0m0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds, written):
    assert go_duration(seconds) == written


@given(st.integers(0, 10**9))
def test_a_duration_can_be_read_back_to_the_millisecond(milliseconds):
    units = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", go_duration(milliseconds / 1000))
    assert round(sum(float(value) * units[unit] for value, unit in parts)) == milliseconds
