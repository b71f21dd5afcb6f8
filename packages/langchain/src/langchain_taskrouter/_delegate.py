"""Calling a candidate directly, below LangChain's callbacks.

A nested `candidate.invoke` would open a second run for the same answer: callbacks would count its tokens twice, and
LangGraph's `stream_mode="messages"` would show every token twice. So the candidate's own implementation is called, as
`BaseChatModel.invoke` itself calls it. That is private API of langchain-core, used here and nowhere else;
`tests/langchain/test_delegate.py` fails when it changes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from functools import lru_cache
from inspect import signature
from traceback import walk_tb
from typing import Any

from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import BaseRateLimiter

from langchain_taskrouter._callbacks import atold, atold_stream, own_handlers, told, told_stream
from langchain_taskrouter._clients import prepared
from langchain_taskrouter._errors import Interrupted, is_interrupt
from taskrouter.adapters import ahanging_up, hanging_up

Options = Mapping[str, Any]
Messages = list[BaseMessage]
_READER = "_create_chat_result"
"""The method in which models of OpenAI's kind read an answer."""


def generate(model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options) -> ChatResult:
    """Call the model, through its cache and its rate limiter.

    It gets no run manager: a model that streams on its own account would send tokens of an attempt that may fail.
    """
    if not _is_plain(model, options):
        return _in_full(model, messages, stop, options)
    try:
        return model._generate(messages, stop=stop, **options)  # noqa: SLF001 - see the module's docstring
    except Exception as error:
        _tell_apart(error)
        raise


async def agenerate(model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options) -> ChatResult:
    """Do the same without blocking."""
    if not _is_plain(model, options):
        return await _in_full_async(model, messages, stop, options)
    try:
        return await model._agenerate(messages, stop=stop, **options)  # noqa: SLF001 - see the module's docstring
    except Exception as error:
        _tell_apart(error)
        raise


def stream(
    model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options
) -> Iterator[ChatGenerationChunk]:
    """Stream the model's answer, as one chunk where the model does not stream. Nothing is sent before the first one."""
    if not _streams(model, options, async_api=False):
        return _at_once(model, messages, stop, options)
    opened = prepared(model)._stream  # noqa: SLF001 - see the module's docstring
    chunks: Iterator[ChatGenerationChunk] = hanging_up(lambda: opened(messages, stop=stop, **options))
    if model.output_version == "v1":
        chunks = _in_blocks(chunks)
    if handlers := own_handlers(model):
        chunks = told_stream(model, handlers, messages, chunks)
    return chunks if model.rate_limiter is None else _limited(model.rate_limiter, chunks)


def astream(
    model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options
) -> AsyncIterator[ChatGenerationChunk]:
    """Do the same without blocking."""
    if not _streams(model, options, async_api=True):
        return _at_once_async(model, messages, stop, options)
    opened = model._astream  # noqa: SLF001 - see the module's docstring
    chunks: AsyncIterator[ChatGenerationChunk] = ahanging_up(lambda: opened(messages, stop=stop, **options))
    if model.output_version == "v1":
        chunks = _in_blocks_async(chunks)
    if handlers := own_handlers(model):
        chunks = atold_stream(model, handlers, messages, chunks)
    return chunks if model.rate_limiter is None else _limited_async(model.rate_limiter, chunks)


class _Blocks:
    """Puts the content of a stream's chunks into LangChain's blocks of version 1, as its own `stream` does."""

    def __init__(self) -> None:
        self._index, self._kind = -1, ""

    def put(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """Convert the next chunk."""
        message = chunk.message
        blocks: list[Any] = list(message.content_blocks)
        for block in blocks:
            if block["type"] != self._kind:
                self._kind = block["type"]
                self._index += 1
            block.setdefault("index", self._index)
        facts = {**message.response_metadata, "output_version": "v1"}
        chunk.message = message.model_copy(update={"content": blocks, "response_metadata": facts})
        return chunk


def _in_blocks(chunks: Any) -> Iterator[ChatGenerationChunk]:
    blocks = _Blocks()
    with closing(chunks):
        for chunk in chunks:
            yield blocks.put(chunk)


async def _in_blocks_async(chunks: Any) -> AsyncIterator[ChatGenerationChunk]:
    blocks = _Blocks()
    async with aclosing(chunks):
        async for chunk in chunks:
            yield blocks.put(chunk)


def _at_once(
    model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options
) -> Iterator[ChatGenerationChunk]:
    yield _whole(_in_full(model, messages, stop, options))


async def _at_once_async(
    model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options
) -> AsyncIterator[ChatGenerationChunk]:
    yield _whole(await _in_full_async(model, messages, stop, options))


def _limited(limiter: BaseRateLimiter, chunks: Iterator[ChatGenerationChunk]) -> Iterator[ChatGenerationChunk]:
    limiter.acquire(blocking=True)
    yield from chunks


async def _limited_async(limiter: BaseRateLimiter, chunks: Any) -> AsyncIterator[ChatGenerationChunk]:
    await limiter.aacquire(blocking=True)
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


def _in_full(model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options) -> ChatResult:
    def call() -> ChatResult:
        try:
            return model._generate_with_cache(messages, stop=stop, **options)  # noqa: SLF001 - see the module's docstring
        except Exception as error:
            _tell_apart(error)
            raise

    handlers = own_handlers(model)
    return told(model, handlers, messages, call) if handlers else call()


async def _in_full_async(
    model: BaseChatModel, messages: Messages, stop: list[str] | None, options: Options
) -> ChatResult:
    call = model._agenerate_with_cache(messages, stop=stop, **options)  # noqa: SLF001 - see the module's docstring
    handlers = own_handlers(model)
    try:
        return await (atold(model, handlers, messages, call) if handlers else call)
    except Exception as error:
        _tell_apart(error)
        raise


def _is_plain(model: BaseChatModel, options: Options) -> bool:
    """Whether `_generate_with_cache` would only call `_generate`, and copy what is said of an answer into its message.

    The copying is done by `annotated` too. Finding out that there is nothing else to do takes LangChain 30 µs.
    """
    return (
        not model.callbacks
        and model.rate_limiter is None
        and (model.cache is False or (model.cache is None and get_llm_cache() is None))
        and model.output_version != "v1"
        and not options.get("stream")
        and getattr(model, "streaming", None) is not True
        and _is_usual(type(model))
    )


@lru_cache(maxsize=256)
def _is_usual(cls: type[BaseChatModel]) -> bool:
    """Whether a class has LangChain's way around `_generate`, and its `_generate` can do without a run manager."""
    around = (
        cls._generate_with_cache is BaseChatModel._generate_with_cache  # noqa: SLF001 - see the module's docstring
        and cls._agenerate_with_cache is BaseChatModel._agenerate_with_cache  # noqa: SLF001 - as above
    )
    managers = (signature(way).parameters.get("run_manager") for way in (cls._generate, cls._agenerate))
    return around and all(manager is None or manager.default is None for manager in managers)


def _tell_apart(error: Exception) -> None:
    """Tell an answer that cannot be read, which another model may better, from a call that we made wrongly.

    Both come as errors of our own world: `choices` that are null are a `TypeError` of `langchain-openai`.

    Raises:
        ValueError: it is the answer.
        Interrupted: it is no failure at all, but LangGraph's way to interrupt a node.
    """
    if is_interrupt(error):
        raise Interrupted(error)
    misread = isinstance(error, TypeError | AttributeError)
    if misread and any(frame.f_code.co_name == _READER for frame, _ in walk_tb(error.__traceback__)):
        raise ValueError("the provider's answer does not have the shape of one") from error


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
