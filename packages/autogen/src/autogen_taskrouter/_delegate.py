"""Calling a candidate, and telling whose fault it is when its client raises an error of our own world.

To the router a TypeError is a failure on our side, for which no other model is asked; but AutoGen's clients raise it
for `choices` that are null. And they raise a ValueError for a call that they do not take, such as one with a parameter
of another vendor: nothing was sent, so it may not count against the model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from traceback import walk_tb
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage
from pydantic import ValidationError

from autogen_taskrouter._candidates import Candidate
from autogen_taskrouter._clients import holder
from taskrouter.adapters import ahanging_up
from taskrouter.errors import BadAnswer, ModelCallError

_MISREAD = (TypeError, AttributeError, AssertionError)
_REFUSED = (ValueError, NotImplementedError)
_REFUSING = ("autogen_ext.models.", "openai.lib.")
"""Where such errors come from: OpenAI's library checks tools and classes of answers before it sends them."""


async def create(
    candidate: Candidate, client: ChatCompletionClient, messages: Sequence[LLMMessage], arguments: Mapping[str, Any]
) -> CreateResult:
    """Call a candidate; `client` is the one of the running loop."""
    try:
        answer = await client.create(messages, **arguments)
    except (*_MISREAD, *_REFUSED) as error:
        _tell_apart(candidate, error)
        raise
    if not isinstance(answer, CreateResult):
        raise _no_answer(candidate, answer)
    return answer


def create_stream(
    candidate: Candidate, client: ChatCompletionClient, messages: Sequence[LLMMessage], arguments: Mapping[str, Any]
) -> AsyncGenerator[str | CreateResult, None]:
    """Stream a candidate's answer. AutoGen's clients leave the SDK's stream behind, so it is closed with theirs."""
    return ahanging_up(lambda: _read(candidate, client.create_stream(messages, **arguments)))


async def _read(
    candidate: Candidate, chunks: AsyncIterator[str | CreateResult]
) -> AsyncGenerator[str | CreateResult, None]:
    try:
        async for chunk in chunks:
            if not isinstance(chunk, str | CreateResult):
                raise _no_answer(candidate, chunk)
            yield chunk
    except (*_MISREAD, *_REFUSED) as error:
        _tell_apart(candidate, error)
        raise
    finally:
        if isinstance(chunks, AsyncGenerator):  # a wrapper's iterator may have no end of its own
            await chunks.aclose()


def _no_answer(candidate: Candidate, given: object) -> BadAnswer:
    return BadAnswer(candidate.id, detail=f"gave no answer: its client returned a {type(given).__name__}")


def _tell_apart(candidate: Candidate, error: Exception) -> None:
    """Say whose fault it is, where the client's own code has raised, and nothing beneath or above it.

    Raises:
        ValueError, BadAnswer: it is the answer, which has not the shape of one, or not the one that was asked for.
        ModelCallError: it is the call, which the client does not take.
    """
    if isinstance(error, ValidationError):  # it quotes the answer
        raise BadAnswer(candidate.id, detail="gave an answer that breaks the response schema") from None
    own = {cls.__module__ for cls in type(holder(candidate.client)).__mro__}
    ((last, _),) = deque(walk_tb(error.__traceback__), maxlen=1)
    raised_in = last.f_globals.get("__name__", "")
    if isinstance(error, NotImplementedError) or (type(error) is ValueError and raised_in.startswith(_REFUSING)):
        refused = ModelCallError(candidate.id, detail="was not called: its client does not take such a call")
        refused.of_the_step = True
        raise refused from error
    if isinstance(error, _MISREAD) and raised_in in own:
        raise ValueError("the provider's answer does not have the shape of one") from error
