"""From our errors to those that users of the Agent Framework catch, with ours as `__cause__`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agent_framework import exceptions as af

from taskrouter import errors as e

_TYPES: dict[type[e.ModelCallError], type[af.ChatClientException]] = {
    e.Unauthenticated: af.ChatClientInvalidAuthException,
    e.ModelNotFound: af.ChatClientInvalidRequestException,
    e.ContextOverflow: af.ChatClientInvalidRequestException,
    e.BadRequest: af.ChatClientInvalidRequestException,
    e.Refused: af.ChatClientContentFilterException,
    e.BadAnswer: af.ChatClientInvalidResponseException,
}


@contextmanager
def framework_errors() -> Iterator[None]:
    """Raise what the framework's users catch.

    A stream that broke is a plain `ChatClientException`, or says as its client did that nothing of it holds. Errors of
    configuration and routing, and failures on our own side, are raised as they are.
    """
    try:
        yield
    except e.AllAttemptsFailedError as error:
        raise _typed(error.exceptions[-1])(str(error)) from error
    except e.StreamBroken as error:
        raise _broken(error.__cause__)(str(error)) from error


def _broken(cause: BaseException | None) -> type[af.ChatClientException]:
    invalidated = af.ResponseInvalidatedException
    return invalidated if isinstance(cause, invalidated) else af.ChatClientException


def _typed(last: Exception) -> type[af.ChatClientException]:
    return next((_TYPES[cls] for cls in type(last).__mro__ if cls in _TYPES), af.ChatClientException)
