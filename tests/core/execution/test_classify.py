"""From the exceptions of real client libraries to our taxonomy."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import litellm
import openai
import pytest

from taskrouter import errors as e
from taskrouter.execution.classify import classify, retry_after_s
from taskrouter.execution.reactions import Reaction, reaction

REQUEST = httpx.Request("POST", "http://localhost/v1/chat/completions")


def openai_error(cls: type[openai.APIStatusError], status: int, code: str | None = None, **headers: str) -> Exception:
    response = httpx.Response(status, request=REQUEST, headers=headers)
    return cls("the provider's own words", response=response, body={"code": code} if code else None)


def litellm_error(name: str, **fields: Any) -> Exception:
    error: Exception = getattr(litellm, name)(message="words", llm_provider="openai", model="m", **fields)
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (openai_error(openai.RateLimitError, 429), e.RateLimited),
        (openai_error(openai.BadRequestError, 400), e.BadRequest),
        (openai_error(openai.BadRequestError, 400, "context_length_exceeded"), e.ContextOverflow),
        (openai_error(openai.BadRequestError, 400, "content_filter"), e.Refused),
        (openai_error(openai.AuthenticationError, 401), e.Unauthenticated),
        (openai_error(openai.PermissionDeniedError, 403), e.Unauthenticated),
        (openai_error(openai.NotFoundError, 404), e.ModelNotFound),
        (openai_error(openai.UnprocessableEntityError, 422), e.BadRequest),
        (openai_error(openai.InternalServerError, 500), e.ServerFailed),
        (openai_error(openai.InternalServerError, 503), e.Overloaded),
        (openai_error(openai.InternalServerError, 529), e.Overloaded),
        (openai_error(openai.InternalServerError, 504), e.Timeout),
        (openai.APIConnectionError(request=REQUEST), e.ConnectionFailed),
        (openai.APITimeoutError(request=REQUEST), e.Timeout),
        (litellm_error("RateLimitError"), e.RateLimited),
        (litellm_error("ContextWindowExceededError"), e.ContextOverflow),
        (litellm_error("ContentPolicyViolationError"), e.Refused),
        (litellm_error("AuthenticationError"), e.Unauthenticated),
        (litellm_error("ServiceUnavailableError"), e.Overloaded),
        (litellm_error("InternalServerError"), e.ServerFailed),
        (litellm_error("BadRequestError"), e.BadRequest),
        (litellm_error("Timeout"), e.Timeout),
        (httpx.ConnectError("refused"), e.ConnectionFailed),
        (httpx.RemoteProtocolError("hung up"), e.ConnectionFailed),
        (httpx.ReadTimeout("slow"), e.Timeout),
        (ConnectionResetError(), e.ConnectionFailed),
        (TimeoutError(), e.Timeout),
        (RuntimeError("Event loop is closed"), e.LocalFailure),
        (RuntimeError("something else"), e.ModelCallError),
        (TypeError("our bug"), e.LocalFailure),
        (asyncio.InvalidStateError(), e.LocalFailure),
        (ValueError("not JSON"), e.ModelCallError),
    ],
    ids=lambda value: (
        getattr(value, "__name__", None) or f"{type(value).__module__.split('.')[0]}.{type(value).__name__}"
    ),
)
def test_a_clients_error_finds_its_place_in_the_taxonomy(error: Exception, expected: type[e.ModelCallError]) -> None:
    ours = classify(error, "m")
    assert type(ours) is expected
    assert ours.__cause__ is error
    assert "words" not in str(ours)


class Unreadable(RuntimeError):  # noqa: N818 - it stands for a client's own
    """A client's error whose every description fails."""

    @property
    def status_code(self) -> int:
        raise RuntimeError("the response has not been read")

    response = code = headers = status_code

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_that_cannot_be_read_is_still_an_error_of_ours() -> None:
    ours = classify(Unreadable(), "m")
    assert type(ours) is e.ModelCallError
    assert (ours.status, ours.retry_after_s) == (None, None)
    assert isinstance(ours.__cause__, Unreadable)


def test_our_own_errors_pass_through() -> None:
    error = e.Refused("m")
    assert classify(error, "other") is error


def test_the_pause_a_provider_asks_for_is_kept() -> None:
    error = classify(openai_error(openai.RateLimitError, 429, None, **{"retry-after": "7"}), "m")
    assert error.retry_after_s == 7.0
    assert "retry after 7 s" in str(error)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "500", "retry-after": "9"}, 0.5),
        ({"Retry-After": "2"}, 2.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "nan", "retry-after": "3"}, 3.0),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers, now=datetime(2026, 11, 20, 12, tzinfo=UTC)) == expected


def test_a_failure_that_says_it_will_not_pass_is_not_retried() -> None:
    assert reaction(e.RateLimited("m")) is Reaction.RETRY
    assert reaction(e.RateLimited("m", retryable=False)) is Reaction.NEXT
