"""Calling a candidate below its own layers for tools and telemetry.

A nested `candidate.get_response` would run its tools in a second loop and open a second chat span for the same answer.
`BaseChatClient.get_response` is what those layers call themselves: it applies the client's own compaction, and asks its
`_inner_get_response`. Chat middleware of a candidate's own runs around that, for its calls only. A user's class with a
`get_response` of its own (a cache, a limiter) is asked by that one, and its tool loop is off. What of this is private
API of agent-framework-core is used here and nowhere else; `tests/agent_framework/test_delegate.py` fails when it
changes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import cache
from typing import Any

from agent_framework import (
    BaseChatClient,
    ChatContext,
    ChatResponse,
    ChatResponseUpdate,
    Message,
    ResponseStream,
)
from agent_framework._middleware import ChatMiddlewarePipeline

Client = BaseChatClient[Any]
Stream = ResponseStream[ChatResponseUpdate, ChatResponse[Any]]

_LAYERS = ("agent_framework", "autogen_taskrouter")
"""Whose `get_response` is but their layers': beginnings of their packages' names."""


async def whole(
    client: Client, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]
) -> ChatResponse[Any]:
    """Return a candidate's whole answer."""
    answer, _ = await _asked(client, messages, options, kwargs, stream=False)
    return ChatResponse() if answer is None else answer  # a middleware has ended the call, and left no answer


async def stream(
    client: Client, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]
) -> AsyncGenerator[ChatResponseUpdate, None]:
    """Return the updates of a candidate's stream."""
    opened, by_itself = await _asked(client, messages, options, kwargs, stream=True)
    if opened is None:  # as above
        return
    finished = by_itself
    async with opened as updates:
        async for update in updates:
            finished = finished or update.finish_reason is not None
            yield update
        if any(own_middleware(client)) or has_own_way(type(client)):
            await opened.get_final_response()  # it may have asked to see the whole
    if not finished:  # a middleware's own answer is all that there is: nothing was cut off
        yield ChatResponseUpdate(finish_reason="stop")


@cache
def has_own_way(cls: type[Client]) -> bool:
    """Whether a class answers by a `get_response` of its own, above or in place of the framework's layers."""
    definer = next(base for base in cls.__mro__ if "get_response" in vars(base))
    return not definer.__module__.startswith(_LAYERS)


@cache
def has_own_answers(cls: type[Client]) -> bool:
    """Whether the answers of a class may be others than those of the framework's client that it stands on."""
    definer = next(base for base in cls.__mro__ if "_inner_get_response" in vars(base))
    return has_own_way(cls) or not definer.__module__.startswith(_LAYERS)


def finalized(client: Client, updates: Sequence[ChatResponseUpdate], response_format: Any | None) -> ChatResponse[Any]:
    """Return a stream's updates as one response, as the client that has sent them puts them together."""
    return client._finalize_response_updates(updates, response_format=response_format)  # noqa: SLF001 - see the module's docstring


def own_middleware(client: Client) -> tuple[list[Any], list[Any]]:
    """Return the chat middleware and the function middleware that a client was made with."""
    return list(getattr(client, "chat_middleware", ())), list(getattr(client, "function_middleware", ()))


async def _asked(
    client: Client,
    messages: Sequence[Message],
    options: Mapping[str, Any],
    kwargs: Mapping[str, Any],
    *,
    stream: bool,
) -> tuple[Any, bool]:
    """Return the answer, or the stream, and whether the client has given it, not a middleware in its place."""
    if has_own_way(type(client)):
        more = {"client_kwargs": kwargs} if kwargs else {}
        own: Any = client.get_response(messages, stream=stream, options=options, **more)  # type: ignore[call-overload]  # a class of the user's
        return (await _opened(own) if stream else await own), True
    middleware, _ = own_middleware(client)
    context = ChatContext(client=client, messages=messages, options=options, stream=stream, kwargs=kwargs)
    if not middleware:
        answer = _below(context)
        return (await _opened(answer) if stream else await answer), True
    reached: list[ChatContext] = []

    def below(context: ChatContext) -> Any:
        reached.append(context)
        return _below(context)

    return await ChatMiddlewarePipeline(*middleware).execute(context, below), bool(reached)


async def _opened(answer: Any) -> Stream:
    """Return the stream, which a client may also return from a coroutine."""
    stream: Stream = answer if isinstance(answer, ResponseStream) else await answer
    return stream


def _below(context: ChatContext) -> Any:
    ask: Any = BaseChatClient.get_response  # of the base class, whatever the client's own layers make of it
    return ask(
        context.client,
        context.messages,
        stream=context.stream,
        options=context.options or {},
        client_kwargs=context.kwargs,
    )
