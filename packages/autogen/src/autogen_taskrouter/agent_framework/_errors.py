"""From our errors to those that users of the Agent Framework catch, with ours as `__cause__`; and back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from agent_framework import MiddlewareFailure
from agent_framework import exceptions as af

from taskrouter import errors as e

C = TypeVar("C")

_TYPES: dict[type[e.ModelCallError], type[af.ChatClientException]] = {
    e.Unauthenticated: af.ChatClientInvalidAuthException,
    e.ModelNotFound: af.ChatClientInvalidRequestException,
    e.ContextOverflow: af.ChatClientInvalidRequestException,
    e.BadRequest: af.ChatClientInvalidRequestException,
    e.Refused: af.ChatClientContentFilterException,
    e.BadAnswer: af.ChatClientInvalidResponseException,
}

_KINDS: dict[type[af.ChatClientException], type[e.ModelCallError]] = {
    af.ChatClientInvalidAuthException: e.Unauthenticated,
    af.ChatClientInvalidRequestException: e.BadRequest,
    af.ChatClientContentFilterException: e.Refused,
    af.ChatClientInvalidResponseException: e.BadAnswer,
}
"""What clients raise of their own accord."""


@contextmanager
def framework_errors() -> Iterator[None]:
    """Raise what the framework's users catch.

    A stream that broke is a plain `ChatClientException`, or says as its client did that nothing of it holds. Errors of
    configuration and routing, and failures on our own side, are raised as they are; so is a middleware's veto.
    """
    try:
        yield
    except (e.LocalFailure, e.StreamBroken) as error:
        if isinstance(veto := error.__cause__, MiddlewareFailure):
            raise veto from veto.__cause__
        if isinstance(error, e.LocalFailure):
            raise
        raise _broken(error.__cause__)(str(error)) from error
    except e.AllAttemptsFailedError as error:
        raise _typed(error.exceptions[-1])(str(error)) from error


@contextmanager
def client_errors(model_id: str) -> Iterator[None]:
    """Raise what the framework's own errors mean; what wraps a provider's error is read by that one.

    Where a candidate's middleware says that the run must end, the step ends, and no other model is asked.
    """
    try:
        yield
    except MiddlewareFailure as veto:
        raise e.LocalFailure(model_id, detail="was stopped: its middleware has ended the run") from veto
    except af.ChatClientException as error:
        kind = next((_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS), None)
        if kind is None or error.__cause__ is not None:
            raise
        raise kind(model_id) from error


async def with_client_errors(model_id: str, updates: AsyncGenerator[C, None]) -> AsyncGenerator[C, None]:
    """Do the same for a stream."""
    with client_errors(model_id):
        async with aclosing(updates):
            async for update in updates:
                yield update


def _broken(cause: BaseException | None) -> type[af.ChatClientException]:
    invalidated = af.ResponseInvalidatedException
    return invalidated if isinstance(cause, invalidated) else af.ChatClientException


def _typed(last: Exception) -> type[af.ChatClientException]:
    return next((_TYPES[cls] for cls in type(last).__mro__ if cls in _TYPES), af.ChatClientException)
