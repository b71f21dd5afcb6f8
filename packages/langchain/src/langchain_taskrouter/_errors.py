"""From our errors to those that LangChain's users and middleware catch, with ours as `__cause__`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core import exceptions as lc

from taskrouter import errors as e

_TYPES: dict[type[e.ModelCallError], type[lc.ModelError]] = {
    e.RateLimited: lc.ModelRateLimitError,
    e.Overloaded: lc.ModelAPIError,
    e.ServerFailed: lc.ModelAPIError,
    e.ConnectionFailed: lc.ModelConnectionError,
    e.Timeout: lc.ModelTimeoutError,
    e.Unauthenticated: lc.ModelAuthenticationError,
    e.ModelNotFound: lc.ModelNotFoundError,
    e.ContextOverflow: lc.ContextOverflowError,
    e.Refused: getattr(lc, "ModelRefusalError", lc.ModelError),  # langchain-core 1.7.5
    e.BadRequest: lc.ModelInvalidRequestError,
}


class Interrupted(BaseException):
    """Carries LangGraph's interruption out of a step, past the engine: it is no failure of the model."""

    def __init__(self, interruption: Exception) -> None:
        super().__init__()
        self.interruption = interruption


def is_interrupt(error: BaseException) -> bool:
    """Tell whether LangGraph interrupts a node by it. It may not be installed, so its class goes by name."""
    return any(cls.__name__ == "GraphBubbleUp" for cls in type(error).__mro__)


@contextmanager
def langchain_errors() -> Iterator[None]:
    """Raise what LangChain's users catch.

    A stream that broke is a plain `ModelError`, which no middleware takes for retryable: its text has been shown.
    Errors of configuration and routing, and failures on our own side, are raised as they are.
    """
    try:
        yield
    except e.AllAttemptsFailedError as error:
        raise _typed(error.exceptions[-1])(str(error)) from error
    except e.StreamBroken as error:
        raise lc.ModelError(str(error)) from error
    except Interrupted as carried:
        raise carried.interruption from None


def _typed(last: Exception) -> type[lc.ModelError]:
    if isinstance(last, e.Unauthenticated) and last.status == 403:
        return lc.ModelPermissionDeniedError
    return next((_TYPES[cls] for cls in type(last).__mro__ if cls in _TYPES), lc.ModelError)
