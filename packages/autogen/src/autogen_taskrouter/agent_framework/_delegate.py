"""Calling a candidate below its own layers for tools and telemetry.

A nested `candidate.get_response` would run its tools in a second loop and open a second chat span for the same answer.
`BaseChatClient.get_response` is what those layers call themselves: it applies the client's own compaction, and asks its
`_inner_get_response`. Chat middleware of a candidate's own runs around that, for its calls only. What of this is
private API of agent-framework-core is used here and nowhere else; `tests/agent_framework/test_delegate.py` fails when
it changes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
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


async def whole(
    client: Client, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]
) -> ChatResponse[Any]:
    """Return a candidate's whole answer."""
    answer = await _asked(client, messages, options, kwargs, stream=False)
    return ChatResponse() if answer is None else answer  # a middleware has ended the call, and left no answer


async def stream(
    client: Client, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]
) -> AsyncGenerator[ChatResponseUpdate, None]:
    """Return the updates of a candidate's stream."""
    opened: Stream | None = await _asked(client, messages, options, kwargs, stream=True)
    if opened is None:  # as above
        return
    async with opened as updates:
        async for update in updates:
            yield update


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
) -> Any:
    middleware, _ = own_middleware(client)
    context = ChatContext(client=client, messages=messages, options=options, stream=stream, kwargs=kwargs)
    if middleware:
        return await ChatMiddlewarePipeline(*middleware).execute(context, _below)
    answer = _below(context)
    return answer if stream else await answer


def _below(context: ChatContext) -> Any:
    ask: Any = BaseChatClient.get_response  # of the base class, whatever the client's own layers make of it
    return ask(
        context.client,
        context.messages,
        stream=context.stream,
        options=context.options or {},
        client_kwargs=context.kwargs,
    )
