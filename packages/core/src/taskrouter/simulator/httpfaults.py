"""Faults that are an HTTP error, with status, headers and document as providers send them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import formatdate

from taskrouter.simulator.apierror import AnthropicError, ApiError
from taskrouter.simulator.config import Durations, Fault, SimulatedModel


def http_fault(fault: Fault | None, model: SimulatedModel, durations: Durations, *, stream: bool) -> ApiError | None:
    """Return the fault as an API error where it is one, which for some depends on whether a stream was asked for."""
    if fault in _RATE_LIMITS:
        return _rate_limit(model, durations.retry_after_s, _RATE_LIMITS[fault](durations.retry_after_s))
    if fault in _IN_STREAMS and not stream:
        return server_error()
    return _ERRORS[fault](model) if fault in _ERRORS else None


def server_error() -> ApiError:
    """Return what a provider says when it is at fault."""
    return ApiError(
        "The server had an error while processing your request: simulated.", status=500, kind="server_error"
    )


_IN_STREAMS: frozenset[Fault] = frozenset({"error_event", "error_after_role"})


def _rate_limit(model: SimulatedModel, wait_s: float, headers: dict[str, str]) -> ApiError:
    return ApiError(
        f"Rate limit reached for {model.id}: simulated. Please try again in {wait_s:g}s.",
        status=429,
        kind="requests",
        code="rate_limit_exceeded",
        headers=headers,
    )


def _in_seconds(wait_s: float) -> dict[str, str]:
    return {"retry-after": f"{wait_s:g}"}


def _as_date(wait_s: float) -> dict[str, str]:
    # A date has whole seconds; rounded up, it never asks for less than the wait.
    return {"retry-after": formatdate(math.ceil(time.time() + wait_s), usegmt=True)}


def _in_milliseconds(wait_s: float) -> dict[str, str]:
    return {"retry-after-ms": f"{wait_s * 1000:.0f}"}


def _at_reset(wait_s: float) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": go_duration(wait_s),
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": go_duration(0.006),
    }


def go_duration(seconds: float) -> str:
    """Write a duration as Go does, and with it OpenAI's headers: `6ms`, `1.5s`, `6m0s`, `1h0m0s`."""
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{larger}{rest / 1000:g}s"


_RATE_LIMITS: dict[Fault | None, Callable[[float], dict[str, str]]] = {
    "rate_limit": _in_seconds,
    "rate_limit_date": _as_date,
    "rate_limit_ms": _in_milliseconds,
    "rate_limit_reset": _at_reset,
}


def _overloaded(_model: SimulatedModel) -> ApiError:
    return ApiError(
        "The engine is currently overloaded, please try again later: simulated.",
        status=503,
        kind="server_error",
        code="overloaded",
    )


def _overloaded_529(_model: SimulatedModel) -> ApiError:
    return AnthropicError("Overloaded: simulated.", status=529, kind="overloaded_error")


def _unauthorized(_model: SimulatedModel) -> ApiError:
    return ApiError("Incorrect API key provided: simulated.", status=401, code="invalid_api_key")


def _forbidden(_model: SimulatedModel) -> ApiError:
    return ApiError(
        "Country, region, or territory not supported: simulated.",
        status=403,
        kind="request_forbidden",
        code="unsupported_country_region_territory",
    )


def not_found(model: str) -> ApiError:
    """Return what a provider says to one who asks for a model that there is not."""
    return ApiError(
        f"The model '{model}' does not exist or you do not have access to it.", status=404, code="model_not_found"
    )


def context_overflow(model: SimulatedModel, tokens: int) -> ApiError:
    """Return what a provider says to a prompt of so many tokens, which are too many."""
    return ApiError(
        f"This model's maximum context length is {model.context_tokens} tokens. However, your messages resulted "
        f"in {tokens} tokens. Please reduce the length of the messages.",
        param="messages",
        code="context_length_exceeded",
    )


def _bad_request(_model: SimulatedModel) -> ApiError:
    return ApiError("The request is not valid: simulated.", code="invalid_value")


_ERRORS: dict[Fault | None, Callable[[SimulatedModel], ApiError]] = {
    "server_error": lambda _: server_error(),
    "overloaded": _overloaded,
    "overloaded_529": _overloaded_529,
    "unauthorized": _unauthorized,
    "forbidden": _forbidden,
    "not_found": lambda model: not_found(model.id),
    "context_overflow": lambda model: context_overflow(model, model.context_tokens + 1),
    "bad_request": _bad_request,
}
