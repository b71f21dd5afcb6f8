"""From the exceptions of provider clients to our taxonomy: by type and status, before any text.

No client library is imported: names of exception classes are a public part of each library, and an application that
never loaded one cannot raise its errors.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from taskrouter import errors as e

_BY_NAME: Mapping[str, type[e.ModelCallError]] = {
    # litellm, openai, anthropic, langchain-core, google; more telling names stand before the general ones they extend
    "ContextWindowExceededError": e.ContextOverflow,
    "ContextOverflowError": e.ContextOverflow,
    "ModelContextOverflowError": e.ContextOverflow,
    "ContentPolicyViolationError": e.Refused,
    "ModelRefusalError": e.Refused,
    "ContentFilterFinishReasonError": e.Refused,
    "RateLimitError": e.RateLimited,
    "ModelRateLimitError": e.RateLimited,
    "ResourceExhausted": e.RateLimited,
    "APITimeoutError": e.Timeout,
    "ModelTimeoutError": e.Timeout,
    "Timeout": e.Timeout,
    "TimeoutError": e.Timeout,
    "TimeoutException": e.Timeout,
    "DeadlineExceeded": e.Timeout,
    "AuthenticationError": e.Unauthenticated,
    "PermissionDeniedError": e.Unauthenticated,
    "ModelAuthenticationError": e.Unauthenticated,
    "NotFoundError": e.ModelNotFound,
    "ModelNotFoundError": e.ModelNotFound,
    "ServiceUnavailableError": e.Overloaded,
    "OverloadedError": e.Overloaded,
    "InternalServerError": e.ServerFailed,
    "BadGatewayError": e.ServerFailed,
    "APIConnectionError": e.ConnectionFailed,
    "ModelConnectionError": e.ConnectionFailed,
    "ConnectionError": e.ConnectionFailed,
    "TransportError": e.ConnectionFailed,
    "UnprocessableEntityError": e.BadRequest,
    "BadRequestError": e.BadRequest,
    "InvalidRequestError": e.BadRequest,
}

_BY_STATUS: Mapping[int, type[e.ModelCallError]] = {
    400: e.BadRequest,
    401: e.Unauthenticated,
    403: e.Unauthenticated,
    404: e.ModelNotFound,
    408: e.Timeout,
    413: e.ContextOverflow,
    422: e.BadRequest,
    429: e.RateLimited,
    503: e.Overloaded,
    504: e.Timeout,
    529: e.Overloaded,
}

_CONTEXT_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "request_too_large"})
_REFUSAL_CODES = frozenset({"content_filter", "content_policy_violation"})
_LOCAL = (TypeError, AttributeError, NameError, AssertionError, ImportError, RecursionError, NotImplementedError)


def classify(error: Exception, model: str) -> e.ModelCallError:
    """Return our error for a client's exception, which stays its `__cause__`."""
    if isinstance(error, e.ModelCallError):
        return error
    status = _status(error)
    cls = _class(error, status)
    # The class of a local failure is our own world's, and all that its reader has to go by.
    detail = f"could not be called, the failure is local: {type(error).__name__}" if cls is e.LocalFailure else None
    ours = cls(model, status=status, retry_after_s=retry_after_s(_headers(error)), detail=detail)
    ours.__cause__ = error
    return ours


def _class(error: Exception, status: int | None) -> type[e.ModelCallError]:
    code = _code(error)
    if code in _CONTEXT_CODES:
        return e.ContextOverflow
    if code in _REFUSAL_CODES:
        return e.Refused
    named = _named(error)
    if named is not None and named.__name__ in ("ContextOverflow", "Refused"):
        return named
    if status is not None and (cls := _by_status(status)) is not None:
        return cls
    if named is not None:
        return named
    return e.LocalFailure if _is_local(error) else e.ModelCallError


def _named(error: Exception) -> type[e.ModelCallError] | None:
    return next((cls for base in type(error).__mro__ if (cls := _BY_NAME.get(base.__name__))), None)


def _by_status(status: int) -> type[e.ModelCallError] | None:
    if cls := _BY_STATUS.get(status):
        return cls
    if status >= 500:
        return e.ServerFailed
    return e.BadRequest if 400 <= status < 500 else None


def _is_local(error: Exception) -> bool:
    if isinstance(error, RuntimeError):  # a client whose event loop is gone says so in nothing but its text
        text = _text(error)
        return "event loop" in text.lower() or "different loop" in text or isinstance(error, _LOCAL)
    return isinstance(error, (*_LOCAL, asyncio.InvalidStateError, e.ConfigurationError))


def _status(error: Exception) -> int | None:
    for owner in (error, _read(error, "response")):
        status = _read(owner, "status_code")
        if isinstance(status, int) and not isinstance(status, bool):
            return status
    return None


def _code(error: Exception) -> str | None:
    code = _read(error, "code")
    return code if isinstance(code, str) else None


def _headers(error: Exception) -> Mapping[str, str]:
    headers = _read(_read(error, "response"), "headers")
    if headers is None:
        headers = _read(error, "headers")
    return headers if isinstance(headers, Mapping) else {}


def _read(owner: object, name: str) -> Any:
    """Return an attribute, or None where it is missing: a client's property may raise anything when it is read."""
    try:
        return getattr(owner, name, None)
    except Exception:  # noqa: BLE001 - a failure to describe a failure says nothing of it
        return None


def _text(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the same
        return ""


def retry_after_s(headers: Mapping[str, Any], *, now: datetime | None = None) -> float | None:
    """Read how long a provider asks us to wait: `retry-after-ms`, or Retry-After in seconds or as an HTTP date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after") or headers.get("Retry-After")
    if value is None:
        return None
    seconds = _number(value)
    return max(0.0, seconds) if seconds is not None else _until(str(value), now or datetime.now(UTC))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _until(date: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())
