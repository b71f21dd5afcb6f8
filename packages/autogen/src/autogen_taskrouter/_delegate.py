"""Calling a candidate, and telling an answer that its client cannot read from a call that we made wrongly.

Both come as errors of our own world: `choices` that are null are a TypeError of AutoGen's clients. To the router that
would be a failure on our side, for which no other model is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from traceback import walk_tb
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage

from autogen_taskrouter._clients import holder
from taskrouter.adapters import ahanging_up

_MISREAD = (TypeError, AttributeError, AssertionError)


async def create(
    client: ChatCompletionClient, messages: Sequence[LLMMessage], arguments: Mapping[str, Any]
) -> CreateResult:
    """Call a candidate."""
    try:
        return await client.create(messages, **arguments)
    except _MISREAD as error:
        _tell_apart(client, error)
        raise


def create_stream(
    client: ChatCompletionClient, messages: Sequence[LLMMessage], arguments: Mapping[str, Any]
) -> AsyncGenerator[str | CreateResult, None]:
    """Stream a candidate's answer. AutoGen's clients leave the SDK's stream behind, so it is closed with theirs."""
    return ahanging_up(lambda: _read(client, client.create_stream(messages, **arguments)))


async def _read(
    client: ChatCompletionClient, chunks: AsyncGenerator[str | CreateResult, None]
) -> AsyncGenerator[str | CreateResult, None]:
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    except _MISREAD as error:
        _tell_apart(client, error)
        raise


def _tell_apart(client: ChatCompletionClient, error: Exception) -> None:
    """Say that it is the answer, where the client's own code has raised, and nothing beneath or above it.

    Raises:
        ValueError: it is the answer.
    """
    own = {cls.__module__ for cls in type(holder(client)).__mro__}
    ((last, _),) = deque(walk_tb(error.__traceback__), maxlen=1)
    if last.f_globals.get("__name__") in own:
        raise ValueError("the provider's answer does not have the shape of one") from error
