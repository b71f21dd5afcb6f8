"""Calling a candidate directly, below LangChain's callbacks.

A nested `candidate.invoke` would open a second run for the same answer: callbacks would count its tokens twice, and
LangGraph's `stream_mode="messages"` would show every token twice. So the candidate's own implementation is called, as
`BaseChatModel.invoke` itself calls it. That is private API of langchain-core, used here and nowhere else;
`tests/langchain/test_delegate.py` fails when it changes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from traceback import walk_tb
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_taskrouter._callbacks import atold, atold_stream, own_handlers, told, told_stream

Options = Mapping[str, Any]
Messages = list[BaseMessage]
_READER = "_create_chat_result"
"""The method in which models of OpenAI's kind read an answer."""


def generate(model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options) -> ChatResult:
    """Call the model, through its cache and its rate limiter.

    It gets no run manager: a model that streams on its own account would send tokens of an attempt that may fail.
    """

    def call() -> ChatResult:
        with _told_apart():
            return model._generate_with_cache(messages, stop=stop, **options)  # noqa: SLF001 - see the module's docstring

    handlers = own_handlers(model)
    return told(model, handlers, messages, call) if handlers else call()


async def agenerate(model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options) -> ChatResult:
    """Do the same without blocking."""
    call = model._agenerate_with_cache(messages, stop=stop, **options)  # noqa: SLF001 - see the module's docstring
    handlers = own_handlers(model)
    with _told_apart():
        return await (atold(model, handlers, messages, call) if handlers else call)


def stream(
    model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options
) -> Iterator[ChatGenerationChunk]:
    """Stream the model's answer, as one chunk where the model does not stream."""
    if not _streams(model, options, async_api=False):
        yield _whole(generate(model, messages, stop, options))
        return
    if model.rate_limiter is not None:
        model.rate_limiter.acquire(blocking=True)
    chunks = model._stream(messages, stop=stop, **options)  # noqa: SLF001 - see the module's docstring
    handlers = own_handlers(model)
    yield from told_stream(model, handlers, messages, chunks) if handlers else chunks


async def astream(
    model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options
) -> AsyncIterator[ChatGenerationChunk]:
    """Do the same without blocking."""
    if not _streams(model, options, async_api=True):
        yield _whole(await agenerate(model, messages, stop, options))
        return
    if model.rate_limiter is not None:
        await model.rate_limiter.aacquire(blocking=True)
    chunks: Any = model._astream(messages, stop=stop, **options)  # noqa: SLF001 - see the module's docstring
    if handlers := own_handlers(model):
        chunks = atold_stream(model, handlers, messages, chunks)
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


@contextmanager
def _told_apart() -> Iterator[None]:
    """Tell an answer that cannot be read, which another model may better, from a call that we made wrongly.

    Both come as errors of our own world: `choices` that are null are a `TypeError` of `langchain-openai`.
    """
    try:
        yield
    except (TypeError, AttributeError) as error:
        if any(frame.f_code.co_name == _READER for frame, _ in walk_tb(error.__traceback__)):
            raise ValueError("the provider's answer does not have the shape of one") from error
        raise


def _streams(model: BaseChatModel, options: Options, *, async_api: bool) -> bool:
    return model._should_stream(async_api=async_api, **{**options, "stream": True})  # noqa: SLF001 - as above


def _whole(result: ChatResult) -> ChatGenerationChunk:
    generation = result.generations[0]
    message = generation.message
    assert isinstance(message, AIMessage), type(message)  # noqa: S101 - a chat model answers with nothing else
    calls = [
        tool_call_chunk(name=call["name"], args=json.dumps(call["args"], default=str), id=call["id"], index=index)
        for index, call in enumerate(message.tool_calls)
    ]
    calls += [
        tool_call_chunk(name=broken["name"], args=broken["args"], id=broken["id"], index=index)
        for index, broken in enumerate(message.invalid_tool_calls, start=len(calls))
    ]
    fields = message.model_dump(include={"content", "additional_kwargs", "name", "id"})
    chunk = AIMessageChunk(
        **fields,
        tool_call_chunks=calls,
        response_metadata=message.response_metadata,
        usage_metadata=message.usage_metadata,
    )
    return ChatGenerationChunk(message=chunk, generation_info=generation.generation_info)
