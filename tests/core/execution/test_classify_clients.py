"""The errors of clients that are not installed here, as stand-ins: same module, name, bases and attributes.

They mirror anthropic 2.11, google-genai 3.4, botocore 1.44 (Bedrock), mistralai 3.7, cohere 7.3, groq 1.7, ollama 0.6,
aiohttp 3.14, requests 2.34, azure-core 1.41, grpcio 1.7x and anyio 4.16.
"""

from __future__ import annotations

import json
import warnings
from email.message import Message
from enum import Enum
from typing import Any
from urllib.error import HTTPError, URLError

import httpx
import pytest

from taskrouter import errors as e
from taskrouter.execution.classify import classify

WORDS = "the provider's own words"
REQUEST = httpx.Request("POST", "http://localhost/v1/messages")


def kind(path: str, *bases: type[Exception], **members: Any) -> type[Exception]:
    module, name = path.rsplit(".", 1)
    return type(name, bases or (Exception,), {"__module__": module, **members})


def raised(cls: type[Exception], text: str = WORDS, **attributes: Any) -> Exception:
    error = cls(text)
    vars(error).update(attributes)
    return error


def ids(value: object) -> str:
    name = type(value).__name__ if isinstance(value, Exception) else getattr(value, "__name__", None) or str(value)
    return f"{type(value).__module__}.{name}" if isinstance(value, Exception) else name


# anthropic: `_make_status_error` keeps the whole body; a stream's error has the status of the stream, 200.
ANTHROPIC_API = kind("anthropic.APIError", kind("anthropic.AnthropicError"))
ANTHROPIC_STATUS = kind("anthropic.APIStatusError", ANTHROPIC_API)
ANTHROPIC_CONNECTION = kind("anthropic.APIConnectionError", ANTHROPIC_API)


def anthropic(status: int, type_: str, name: str = "APIStatusError", text: str = WORDS, **details: str) -> Exception:
    body = {"type": "error", "error": {"type": type_, "message": text, "details": details or None}}
    return raised(
        kind(f"anthropic.{name}", ANTHROPIC_STATUS) if name != "APIStatusError" else ANTHROPIC_STATUS,
        f"Error code: {status} - {body}",
        status_code=status,
        response=httpx.Response(status, request=REQUEST, json=body),
        body=body,
        type=type_,
        error_code=details.get("error_code"),
    )


# google-genai: `code` is the status, `status` the name, `details` the body.
def genai(status: int, name: str, *details: dict[str, Any], text: str = WORDS) -> Exception:
    cls = "ClientError" if status < 500 else "ServerError"
    body = {"error": {"code": status, "message": text, "status": name, "details": list(details)}}
    api = kind("google.genai.errors.APIError", status=None, message=None)
    return raised(
        kind(f"google.genai.errors.{cls}", api), f"{status} {name}. {body}", code=status, status=name, details=body
    )


BOTO = kind("botocore.exceptions.BotoCoreError")
BOTO_CONNECTION = kind("botocore.exceptions.ConnectionError", BOTO)
BOTO_HTTP = kind("botocore.exceptions.HTTPClientError", BOTO)
BOTO_CLIENT = kind("botocore.exceptions.ClientError")
BOTO_STREAM = kind("botocore.exceptions.EventStreamError", BOTO_CLIENT)


def bedrock(code: str, status: int, text: str = WORDS, cls: type[Exception] = BOTO_CLIENT) -> Exception:
    answer = {
        "Error": {"Code": code, "Message": text},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "3"}},
    }
    return raised(cls, f"An error occurred ({code}) when calling the Converse operation: {text}", response=answer)


def mistral(status: int, **body: Any) -> Exception:
    text = json.dumps({"object": "error", "message": WORDS, **body})
    base = kind("mistralai.client.errors.mistralerror.MistralError")
    response = httpx.Response(status, request=REQUEST, text=text, headers={"retry-after": "2"})
    return raised(
        kind("mistralai.client.errors.sdkerror.SDKError", base),
        f"API error occurred: Status {status}. Body: {text}",
        status_code=status,
        body=text,
        headers=response.headers,
        raw_response=response,
    )


COHERE = kind("cohere.core.api_error.ApiError", headers=None, status_code=None, body=None)


def cohere(name: str, status: int, text: str = WORDS) -> Exception:
    cls = kind(f"cohere.errors.{name}", COHERE)
    body = {"message": text}
    return raised(cls, f"headers: None, status_code: {status}, body: {body}", status_code=status, body=body)


def groq(status: int, code: str, type_: str = "invalid_request_error", **headers: str) -> Exception:
    body = {"error": {"message": WORDS, "type": type_, "code": code}}
    return raised(
        kind("groq.APIStatusError", kind("groq.APIError", kind("groq.GroqError"))),
        status_code=status,
        body=body,
        response=httpx.Response(status, request=REQUEST, json=body, headers=headers),
    )


def ollama(status: int, text: str = WORDS) -> Exception:
    return raised(
        kind("ollama._types.ResponseError"), f"{text} (status code: {status})", error=text, status_code=status
    )


AIOHTTP = kind("aiohttp.client_exceptions.ClientError")
AIOHTTP_CONNECTION = kind("aiohttp.client_exceptions.ClientConnectionError", AIOHTTP)
AIOHTTP_OS = kind("aiohttp.client_exceptions.ClientOSError", AIOHTTP_CONNECTION, OSError)
AIOHTTP_SERVER = kind("aiohttp.client_exceptions.ServerConnectionError", AIOHTTP_CONNECTION)
AIOHTTP_TIMEOUT = kind("aiohttp.client_exceptions.ServerTimeoutError", AIOHTTP_SERVER, TimeoutError)


def warning_code(self: Any) -> int:
    warnings.warn("code property is deprecated, use status instead", DeprecationWarning, stacklevel=2)
    return int(self.status)


AIOHTTP_RESPONSE = kind("aiohttp.client_exceptions.ClientResponseError", AIOHTTP, code=property(warning_code))
AIOHTTP_CONTENT = kind("aiohttp.client_exceptions.ContentTypeError", AIOHTTP_RESPONSE)

REQUESTS = kind("requests.exceptions.RequestException", OSError)
REQUESTS_CONNECTION = kind("requests.exceptions.ConnectionError", REQUESTS)
REQUESTS_TIMEOUT = kind("requests.exceptions.Timeout", REQUESTS)


class RequestsResponse:
    """requests.Response: `content` reads from the network until `_content` is there."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status_code = status
        self.headers = {"Retry-After": "6"}
        self._content = content

    @property
    def content(self) -> bytes:
        raise AssertionError("the network was read")


AZURE = kind("azure.core.exceptions.AzureError", inner_exception=None)
AZURE_HTTP = kind("azure.core.exceptions.HttpResponseError", AZURE)
AZURE_REQUEST = kind("azure.core.exceptions.ServiceRequestError", AZURE)


class ODataV4Format:
    """azure.core.exceptions.ODataV4Format: the error of a body."""

    def __init__(self, code: str, inner: str | None = None) -> None:
        self.code = code
        self.innererror = {"code": inner} if inner else {}


class StatusCode(Enum):
    """grpc.StatusCode."""

    UNAVAILABLE = (14, "unavailable")


def of_urllib(status: int) -> HTTPError:
    headers = Message()
    headers["Retry-After"] = "8"
    error = HTTPError("http://localhost", status, WORDS, headers, None)
    error.close()
    return error


KEYLESS = {
    "anthropic": TypeError(f'"Could not resolve authentication method. {WORDS}"'),
    "google-genai": ValueError(f"No API key was provided. {WORDS}"),
    "cohere": raised(
        COHERE, "headers: None, body: The client must be instantiated be either passing in token or setting CO_API_KEY"
    ),
    "groq": raised(kind("groq.GroqError"), "The api_key client option must be set ..."),
    "botocore": raised(kind("botocore.exceptions.NoCredentialsError", BOTO), "Unable to locate credentials"),
    "google-auth": raised(kind("google.auth.exceptions.DefaultCredentialsError")),
    "azure-identity": raised(kind("azure.identity._exceptions.CredentialUnavailableError", AZURE)),
}


@pytest.mark.parametrize("client", KEYLESS)
def test_a_client_without_a_key_is_unauthenticated_and_another_model_may_answer(client: str) -> None:
    ours = classify(KEYLESS[client], "m")
    assert type(ours) is e.Unauthenticated
    assert str(ours) == "model 'm' has no credentials: set its API key"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (anthropic(429, "rate_limit_error", "RateLimitError"), e.RateLimited),
        (anthropic(529, "overloaded_error", "OverloadedError"), e.Overloaded),
        (anthropic(200, "overloaded_error"), e.Overloaded),
        (anthropic(200, "api_error"), e.ServerFailed),
        (anthropic(200, "rate_limit_error"), e.RateLimited),
        (anthropic(400, "invalid_request_error", "BadRequestError"), e.BadRequest),
        (anthropic(400, "invalid_request_error", text="prompt is too long: 3 tokens > 2 maximum"), e.ContextOverflow),
        (
            anthropic(400, "invalid_request_error", text="input length and `max_tokens` exceed context limit: 3"),
            e.ContextOverflow,
        ),
        (anthropic(413, "request_too_large", "ContentTooLargeError"), e.ContextOverflow),
        (anthropic(401, "authentication_error", "AuthenticationError"), e.Unauthenticated),
        (anthropic(403, "permission_error", "PermissionDeniedError"), e.Unauthenticated),
        (anthropic(404, "not_found_error", "NotFoundError"), e.ModelNotFound),
        (anthropic(409, "conflict_error", "ConflictError"), e.ServerFailed),
        (anthropic(500, "api_error", "InternalServerError"), e.ServerFailed),
        (anthropic(504, "timeout_error", "GatewayTimeoutError"), e.Timeout),
        (raised(ANTHROPIC_CONNECTION), e.ConnectionFailed),
        (raised(kind("anthropic.APITimeoutError", ANTHROPIC_CONNECTION)), e.Timeout),
        (genai(429, "RESOURCE_EXHAUSTED"), e.RateLimited),
        (genai(503, "UNAVAILABLE"), e.Overloaded),
        (genai(504, "DEADLINE_EXCEEDED"), e.Timeout),
        (genai(500, "INTERNAL"), e.ServerFailed),
        (genai(404, "NOT_FOUND"), e.ModelNotFound),
        (genai(403, "PERMISSION_DENIED"), e.Unauthenticated),
        (genai(400, "INVALID_ARGUMENT"), e.BadRequest),
        (genai(400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}), e.Unauthenticated),
        (genai(400, "INVALID_ARGUMENT", text="9 exceeds the maximum number of tokens allowed (8)."), e.ContextOverflow),
        (bedrock("ThrottlingException", 429), e.RateLimited),
        (bedrock("ThrottlingException", 400), e.RateLimited),
        (bedrock("ServiceUnavailableException", 503), e.Overloaded),
        (bedrock("ModelNotReadyException", 429), e.Overloaded),
        (bedrock("ModelTimeoutException", 408), e.Timeout),
        (bedrock("ModelErrorException", 424), e.ServerFailed),
        (bedrock("InternalServerException", 500), e.ServerFailed),
        (bedrock("ValidationException", 400), e.BadRequest),
        (bedrock("ValidationException", 400, "Input is too long for requested model."), e.ContextOverflow),
        (bedrock("AccessDeniedException", 403), e.Unauthenticated),
        (bedrock("ResourceNotFoundException", 404), e.ModelNotFound),
        (bedrock("throttlingException", 400, cls=BOTO_STREAM), e.RateLimited),
        (bedrock("modelStreamErrorException", 400, cls=BOTO_STREAM), e.ServerFailed),
        (raised(kind("botocore.exceptions.EndpointConnectionError", BOTO_CONNECTION)), e.ConnectionFailed),
        (raised(kind("botocore.exceptions.ConnectionClosedError", BOTO_HTTP)), e.ConnectionFailed),
        (raised(kind("botocore.exceptions.ResponseStreamingError", BOTO_HTTP)), e.ConnectionFailed),
        (raised(kind("botocore.exceptions.ReadTimeoutError", BOTO_HTTP)), e.Timeout),
        (raised(kind("botocore.exceptions.ConnectTimeoutError", BOTO_CONNECTION)), e.Timeout),
        (raised(kind("botocore.exceptions.ParamValidationError", BOTO)), e.BadRequest),
        (mistral(429, type="rate_limited", code="1300"), e.RateLimited),
        (mistral(429, type="service_tier_capacity_exceeded", code="3505"), e.RateLimited),
        (mistral(400, type="invalid_model", code="1500"), e.ModelNotFound),
        (
            mistral(400, type="invalid_request_prompt", message="too large for 8 maximum context length"),
            e.ContextOverflow,
        ),
        (mistral(401), e.Unauthenticated),
        (mistral(422), e.BadRequest),
        (mistral(503), e.Overloaded),
        (raised(kind("mistralai.client.errors.no_response_error.NoResponseError")), e.ConnectionFailed),
        (cohere("TooManyRequestsError", 429), e.RateLimited),
        (cohere("UnauthorizedError", 401), e.Unauthenticated),
        (cohere("InvalidTokenError", 498), e.Unauthenticated),
        (cohere("ClientClosedRequestError", 499), e.ConnectionFailed),
        (cohere("ServiceUnavailableError", 503), e.Overloaded),
        (cohere("GatewayTimeoutError", 504), e.Timeout),
        (cohere("BadRequestError", 400), e.BadRequest),
        (cohere("BadRequestError", 400, "too many tokens: the prompt cannot exceed 4081"), e.ContextOverflow),
        (cohere("NotFoundError", 404), e.ModelNotFound),
        (groq(429, "rate_limit_exceeded", "tokens"), e.RateLimited),
        (groq(498, "over_capacity"), e.Overloaded),
        (groq(400, "context_length_exceeded"), e.ContextOverflow),
        (groq(400, "model_decommissioned"), e.ModelNotFound),
        (ollama(404), e.ModelNotFound),
        (ollama(500), e.ServerFailed),
        (ollama(400, "the input length exceeds the context length"), e.ContextOverflow),
        (ollama(-1), e.ModelCallError),
        (raised(AIOHTTP_TIMEOUT), e.Timeout),
        (raised(kind("aiohttp.client_exceptions.SocketTimeoutError", AIOHTTP_TIMEOUT)), e.Timeout),
        (raised(kind("aiohttp.client_exceptions.ServerDisconnectedError", AIOHTTP_SERVER)), e.ConnectionFailed),
        (raised(kind("aiohttp.client_exceptions.ClientConnectorError", AIOHTTP_OS)), e.ConnectionFailed),
        (raised(kind("aiohttp.client_exceptions.ClientPayloadError", AIOHTTP)), e.ConnectionFailed),
        (raised(AIOHTTP_RESPONSE, status=500, headers=None), e.ServerFailed),
        (raised(AIOHTTP_CONTENT, status=200, headers=None), e.BadAnswer),
        (raised(AIOHTTP_CONTENT, status=502, headers=None), e.ServerFailed),
        (raised(REQUESTS_CONNECTION), e.ConnectionFailed),
        (raised(kind("requests.exceptions.ConnectTimeout", REQUESTS_CONNECTION, REQUESTS_TIMEOUT)), e.Timeout),
        (raised(kind("requests.exceptions.ReadTimeout", REQUESTS_TIMEOUT)), e.Timeout),
        (raised(kind("requests.exceptions.ChunkedEncodingError", REQUESTS)), e.ConnectionFailed),
        (raised(kind("requests.exceptions.HTTPError", REQUESTS), response=RequestsResponse(503, b"")), e.Overloaded),
        (raised(AZURE_HTTP, status_code=400, error=ODataV4Format("x", "ResponsibleAIPolicyViolation")), e.Refused),
        (raised(AZURE_HTTP, status_code=400, error=ODataV4Format("unknown_model")), e.ModelNotFound),
        (
            raised(kind("azure.core.exceptions.ClientAuthenticationError", AZURE_HTTP), status_code=401),
            e.Unauthenticated,
        ),
        (raised(AZURE_REQUEST), e.ConnectionFailed),
        (raised(AZURE_REQUEST, inner_exception=raised(REQUESTS_TIMEOUT)), e.Timeout),
        (raised(kind("grpc.aio.AioRpcError"), code=lambda: StatusCode.UNAVAILABLE), e.Overloaded),
        (raised(kind("anyio.BrokenResourceError")), e.ConnectionFailed),
        (raised(kind("anyio.ClosedResourceError")), e.LocalFailure),
        (of_urllib(500), e.ServerFailed),
        (URLError(TimeoutError("slow")), e.Timeout),
        (URLError("no host given"), e.ConnectionFailed),
    ],
    ids=ids,
)
def test_every_clients_errors_find_their_place(error: Exception, expected: type[e.ModelCallError]) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        ours = classify(error, "m")
    assert type(ours) is expected
    assert ours.__cause__ is error
    assert WORDS not in str(ours)
    assert not warned


@pytest.mark.parametrize(
    ("error", "cls"),
    [
        (anthropic(402, "billing_error", "PaymentRequiredError"), e.RateLimited),
        (anthropic(429, "rate_limit_error", error_code="enforced_spend_limit_reached"), e.RateLimited),
        (
            genai(429, "RESOURCE_EXHAUSTED", {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}),
            e.RateLimited,
        ),
        (bedrock("ServiceQuotaExceededException", 400), e.RateLimited),
        (groq(413, "rate_limit_exceeded", "tokens"), e.RateLimited),
        (
            raised(
                kind("requests.exceptions.HTTPError", REQUESTS),
                response=RequestsResponse(429, b'{"error": {"code": "insufficient_quota"}}'),
            ),
            e.RateLimited,
        ),
        (
            raised(kind("aiohttp.client_exceptions.ClientConnectorCertificateError", AIOHTTP, ValueError)),
            e.ConnectionFailed,
        ),
        (raised(kind("requests.exceptions.MissingSchema", REQUESTS, ValueError)), e.ConnectionFailed),
    ],
    ids=ids,
)
def test_what_will_not_pass_is_not_tried_again(error: Exception, cls: type[e.ModelCallError]) -> None:
    ours = classify(error, "m")
    assert (type(ours), ours.retryable) == (cls, False)


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (bedrock("ThrottlingException", 429), 3.0),
        (mistral(429, type="rate_limited"), 2.0),
        (raised(kind("requests.exceptions.HTTPError", REQUESTS), response=RequestsResponse(429, b"")), 6.0),
        (raised(AIOHTTP_RESPONSE, status=429, headers={"Retry-After": "5"}), 5.0),
        (of_urllib(429), 8.0),
        (genai(429, "RESOURCE_EXHAUSTED", {"retryDelay": "34.5s"}), 34.5),
        (
            groq(
                429, "rate_limit_exceeded", **{"X-RateLimit-Reset-Tokens": "7.66s", "X-RateLimit-Remaining-Tokens": "0"}
            ),
            7.66,
        ),
        (groq(400, "x", **{"x-ratelimit-reset-tokens": "7.66s", "x-ratelimit-remaining-tokens": "0"}), None),
    ],
    ids=ids,
)
def test_the_pause_is_found_where_each_client_keeps_it(error: Exception, wait_s: float | None) -> None:
    assert classify(error, "m").retry_after_s == wait_s


def test_a_status_is_told_only_if_there_was_an_answer_that_failed() -> None:
    assert classify(anthropic(200, "overloaded_error"), "m").status is None
    assert classify(ollama(-1), "m").status is None
    assert classify(cohere("ClientClosedRequestError", 499), "m").status == 499
