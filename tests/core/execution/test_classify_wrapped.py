"""Errors that wrap the telling one, and those of this side."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import errno
import os
import socket
import ssl
from collections.abc import Callable
from types import SimpleNamespace

import anyio
import httpx
import litellm
import openai
import pytest
from langchain_core import exceptions as langchain

from taskrouter import errors as e
from taskrouter.execution.classify import classify
from taskrouter.outcome import ResponseView

REQUEST = httpx.Request("POST", "http://localhost/v1/chat/completions")


def caused(outer: Exception, inner: Exception) -> Exception:
    try:
        raise outer from inner
    except type(outer) as error:
        return error


def implied(outer: Exception, inner: Exception) -> Exception:
    """Raise one while the other is handled, as LiteLLM does."""
    try:
        try:
            raise inner
        except type(inner):
            raise outer  # noqa: B904 - this is the point
    except type(outer) as error:
        return error


def failure(call: Callable[[], object]) -> Exception:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - which one it is, is asked
        return error
    raise AssertionError("it did not fail")


def connection() -> openai.APIConnectionError:
    return openai.APIConnectionError(request=REQUEST)


def litellm_error(name: str, **fields: object) -> Exception:
    error: Exception = getattr(litellm.exceptions, name)(message="words", llm_provider="openai", model="m", **fields)
    return error


def litellm_connection() -> Exception:
    return litellm_error("APIConnectionError")


def status_error(status: int, **body: object) -> openai.APIStatusError:
    response = httpx.Response(status, request=REQUEST, json={"error": body})
    return openai.APIStatusError("words", response=response, body=body)


def stream_error(**body: object) -> openai.APIError:
    """What the SDK raises for an error event of a stream."""
    return openai.APIError("words", request=REQUEST, body=body)


def midstream(original: Exception) -> Exception:
    return litellm_error("MidStreamFallbackError", original_exception=original)


def group(*errors: Exception) -> Exception:
    return ExceptionGroup("unhandled errors in a TaskGroup", errors)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (caused(connection(), httpx.ReadTimeout("slow")), e.Timeout),
        (caused(connection(), httpx.ReadError("reset")), e.ConnectionFailed),
        (caused(connection(), RuntimeError("Event loop is closed")), e.LocalFailure),
        (caused(connection(), RuntimeError("got Future attached to a different loop")), e.LocalFailure),
        (caused(connection(), RuntimeError("Cannot send a request, as the client has been closed.")), e.LocalFailure),
        (caused(connection(), TypeError("bug")), e.ModelCallError),
        (caused(connection(), ValueError("whatever")), e.ConnectionFailed),
        (implied(litellm_connection(), httpx.ReadTimeout("slow")), e.Timeout),
        (implied(litellm_connection(), AttributeError("bug")), e.ModelCallError),
        (implied(litellm_error("InternalServerError"), httpx.ConnectError("refused")), e.ConnectionFailed),
        (implied(litellm_error("InternalServerError"), status_error(529)), e.Overloaded),
        (implied(litellm_error("InternalServerError"), openai.OpenAIError("Missing credentials.")), e.Unauthenticated),
        (implied(litellm_error("BadRequestError"), status_error(413)), e.ContextOverflow),
        (implied(litellm_error("BadRequestError"), status_error(400, code="content_filter")), e.Refused),
        (implied(litellm_error("BadRequestError"), TypeError("bug")), e.BadRequest),
        (implied(litellm_error("RateLimitError"), TypeError("bug")), e.RateLimited),
        (
            implied(litellm_error("RateLimitError", body={"type": "insufficient_quota"}), status_error(429)),
            e.RateLimited,
        ),
        (litellm_connection(), e.ConnectionFailed),
        (midstream(litellm_error("RateLimitError")), e.RateLimited),
        (midstream(implied(litellm_connection(), stream_error(code="server_error"))), e.ServerFailed),
        (midstream(ValueError("whatever")), e.Overloaded),
        (implied(connection(), TypeError("a cache's miss")), e.ConnectionFailed),
        (caused(RuntimeError("the call failed"), status_error(429)), e.RateLimited),
        (caused(langchain.LangChainException("words"), status_error(503)), e.Overloaded),
        (caused(ValueError("outer"), caused(ValueError("inner"), httpx.ConnectTimeout("slow"))), e.Timeout),
        (group(httpx.ReadError("reset")), e.ConnectionFailed),
        (group(group(status_error(429))), e.RateLimited),
        (group(httpx.ReadError("reset"), TypeError("bug")), e.ModelCallError),
        (e.AllAttemptsFailedError([e.Overloaded("inner", status=529)], []), e.Overloaded),
        (caused(ValueError("outer"), e.StreamBroken("inner", partial=ResponseView())), e.ModelCallError),
    ],
)
def test_a_wrapper_is_asked_for_what_it_wraps(error: Exception, expected: type[e.ModelCallError]) -> None:
    ours = classify(error, "m")
    assert type(ours) is expected
    assert ours.__cause__ is error
    assert ours.model == "m"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (stream_error(type="overloaded_error"), e.Overloaded),
        (stream_error(code="server_error", type="server_error"), e.ServerFailed),
        (stream_error(code="rate_limit_exceeded"), e.RateLimited),
        (stream_error(code=429), e.RateLimited),
        (stream_error(code=502), e.ServerFailed),
        (stream_error(type="invalid_request_error"), e.BadRequest),
        (stream_error(code="invalid_prompt"), e.Refused),
        (openai.APIError("Your input exceeds the context window of this model", REQUEST, body={}), e.ContextOverflow),
        (stream_error(), e.ModelCallError),
        (ValueError({"code": 502, "message": "words"}), e.ServerFailed),
    ],
)
def test_an_error_inside_an_answer_of_200_is_told_by_its_codes(
    error: Exception, expected: type[e.ModelCallError]
) -> None:
    assert type(classify(error, "m")) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (status_error(409), e.ServerFailed),
        (status_error(410), e.ModelNotFound),
        (status_error(413, code="request_too_large"), e.ContextOverflow),
        (status_error(418), e.BadRequest),
        (status_error(524), e.Timeout),
        (status_error(302), e.ModelCallError),
        (status_error(400, code="string_above_max_length", param="messages[0].content"), e.ContextOverflow),
        (status_error(400, code="string_above_max_length", param="user"), e.BadRequest),
        (status_error(401, type="invalid_request_error"), e.Unauthenticated),
        (status_error(403, metadata={"flagged_input": "words"}), e.Refused),
        (status_error(403, code="model_not_found"), e.ModelNotFound),
        (openai.ContentFilterFinishReasonError(), e.Refused),
        (litellm_error("PaymentRequiredError"), e.RateLimited),
        (langchain.ContextOverflowError(), e.ContextOverflow),
        (langchain.ModelRateLimitError(), e.RateLimited),
        (langchain.ModelAuthenticationError(), e.Unauthenticated),
        (langchain.ModelPermissionDeniedError(), e.Unauthenticated),
        (langchain.ModelNotFoundError(), e.ModelNotFound),
        (langchain.ModelTimeoutError(), e.Timeout),
        (langchain.ModelConnectionError(), e.ConnectionFailed),
        (langchain.ModelAPIError(), e.ServerFailed),
        (langchain.ModelInvalidRequestError(), e.BadRequest),
        (langchain.OutputParserException("words"), e.BadAnswer),
        (TypeError("Received response with null value for 'choices'. words"), e.BadAnswer),
        (failure(lambda: httpx.Response(200, text="<html>").json()), e.BadAnswer),
        (ssl.SSLError(1, "words"), e.ConnectionFailed),
        (socket.gaierror(-2, "words"), e.ConnectionFailed),
        (OSError(errno.ENETUNREACH, "words"), e.ConnectionFailed),
        (OSError(errno.EMFILE, "words"), e.LocalFailure),
        (FileNotFoundError(errno.ENOENT, "words"), e.ModelCallError),
        (MemoryError(), e.LocalFailure),
        (RuntimeError("cannot schedule new futures after shutdown"), e.LocalFailure),
        (e.ConfigurationError("words"), e.LocalFailure),
    ],
)
def test_signs_that_need_care(error: Exception, expected: type[e.ModelCallError]) -> None:
    ours = classify(error, "m")
    assert type(ours) is expected
    assert "words" not in str(ours)


@pytest.mark.parametrize(
    "error",
    [
        status_error(429, code="insufficient_quota", type="insufficient_quota"),
        status_error(400, code="billing_hard_limit_reached"),
        status_error(402),
        openai.RateLimitError(
            "Request too large for m",
            response=httpx.Response(429, request=REQUEST),
            body={"code": "rate_limit_exceeded"},
        ),
        litellm_error("RateLimitError", body={"code": "insufficient_quota"}),
    ],
)
def test_a_quota_that_is_used_up_is_not_asked_again(error: Exception) -> None:
    ours = classify(error, "m")
    assert (type(ours), ours.retryable) == (e.RateLimited, False)
    assert "is rate limited" not in str(ours)


def test_a_step_that_is_too_large_for_a_quota_is_told_from_a_quota_that_is_used_up() -> None:
    response = httpx.Response(429, request=REQUEST)
    body = {"code": "rate_limit_exceeded"}
    large = classify(openai.RateLimitError("Request too large for m", response=response, body=body), "m")
    assert large.of_the_step
    assert classify(copy.deepcopy(large), "m").of_the_step
    wrapped = RuntimeError("of a client")
    wrapped.__cause__ = large
    assert classify(wrapped, "m").of_the_step
    assert not classify(status_error(429, code="insufficient_quota"), "m").of_the_step


def test_a_certificate_that_is_not_trusted_is_not_asked_again() -> None:
    ours = classify(ssl.SSLCertVerificationError(1, "words"), "m")
    assert (type(ours), ours.retryable) == (e.ConnectionFailed, False)


@pytest.mark.parametrize("sdk", [openai.OpenAI, openai.AsyncOpenAI])
def test_a_client_of_openai_without_a_key_is_unauthenticated(
    sdk: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    assert str(classify(failure(sdk), "m")) == "model 'm' has no credentials: set its API key"


@pytest.mark.parametrize(
    "model", ["openai/m", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.0-flash", "ollama_chat/m"]
)
def test_an_address_where_nobody_listens_is_a_failed_connection_through_litellm(model: str) -> None:
    with socket.socket() as silent:  # bound and not listening: connections are refused
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        messages = [{"role": "user", "content": "hi"}]
        ours = classify(
            failure(lambda: litellm.completion(model, messages, api_base=address, api_key="k", max_retries=0)), "m"
        )
    assert type(ours) is e.ConnectionFailed
    assert ours.status is None


def test_a_model_that_litellm_does_not_know_is_not_found() -> None:
    ours = classify(failure(lambda: litellm.completion("nobody-knows-this", [{"role": "user", "content": "hi"}])), "m")
    assert type(ours) is e.ModelNotFound


def test_a_status_that_litellm_made_up_is_not_told() -> None:
    assert classify(litellm_connection(), "m").status is None
    assert classify(implied(litellm_error("Timeout"), httpx.ReadTimeout("slow")), "m").status is None


def test_the_pause_is_found_on_the_wrapper_too() -> None:
    response = httpx.Response(429, request=REQUEST, headers={"retry-after": "7"})
    outer = implied(
        litellm_error("InternalServerError"), httpx.HTTPStatusError("x", request=REQUEST, response=response)
    )
    assert classify(outer, "m").retry_after_s == 7.0
    outer = implied(litellm_error("InternalServerError"), httpx.ReadError("reset"))
    vars(outer)["litellm_response_headers"] = {"Retry-After": "9"}
    assert classify(outer, "m").retry_after_s == 9.0


def test_what_a_router_inside_this_one_says_is_kept() -> None:
    inner = e.RateLimited("inner", status=429, retry_after_s=4.0, retryable=False)
    ours = classify(caused(RuntimeError("outer"), inner), "m")
    assert (type(ours), ours.status, ours.retry_after_s, ours.retryable) == (e.RateLimited, 429, 4.0, False)


def test_a_local_failure_names_what_was_wrapped() -> None:
    ours = classify(caused(connection(), RuntimeError("Event loop is closed")), "m")
    assert str(ours) == "model 'm' could not be called, the failure is local: RuntimeError"


def test_errors_that_wrap_each_other_in_a_circle_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert type(classify(one, "m")) is e.ModelCallError


def test_a_failed_task_of_anyio_is_found_in_its_group() -> None:
    async def read() -> None:
        raise httpx.ReadError("reset")

    async def together() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)

    assert type(classify(failure(lambda: asyncio.run(together())), "m")) is e.ConnectionFailed


def test_a_cancelled_future_is_of_this_side_and_a_cancelled_task_never_gets_here() -> None:
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.cancel()
    assert type(classify(failure(future.result), "m")) is e.LocalFailure
    assert not issubclass(asyncio.CancelledError, Exception)  # which is anyio's too


def test_a_body_that_cannot_be_read_says_nothing() -> None:
    for content in (b"[" * 60_000, b"{", b"\xff\xfe", b'{"error": {"code": 1e999, "details": [1, {"violations": 3}]}}'):
        error = ValueError("words")
        vars(error)["response"] = SimpleNamespace(_content=content, status_code=500, headers={"retry-after": "1"})
        ours = classify(error, "m")
        assert (type(ours), ours.retry_after_s) == (e.ServerFailed, 1.0)
