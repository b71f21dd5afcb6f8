"""A candidate's own `callbacks`: told of its calls in runs of their own, beside the one run that LangChain sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager, Callbacks
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

Messages = list[BaseMessage]


def own_handlers(model: BaseChatModel) -> list[BaseCallbackHandler]:
    """Return the handlers that the user gave to this very model."""
    return handlers_in(model.callbacks)


def handlers_in(given: Callbacks) -> list[BaseCallbackHandler]:
    """Return the handlers in what LangChain takes as `callbacks`."""
    return list(given if isinstance(given, list) else given.handlers) if given else []


def told(
    model: BaseChatModel, handlers: list[BaseCallbackHandler], messages: Messages, call: Callable[[], ChatResult]
) -> ChatResult:
    """Make the call, and tell the handlers."""
    (run,) = CallbackManager(handlers).on_chat_model_start(_named(model), [messages])
    try:
        result = call()
    except BaseException as error:
        run.on_llm_error(error, response=LLMResult(generations=[]))
        raise
    run.on_llm_end(_whole(result))
    return result


async def atold(
    model: BaseChatModel, handlers: list[BaseCallbackHandler], messages: Messages, call: Awaitable[ChatResult]
) -> ChatResult:
    """Make the call, and tell the handlers."""
    (run,) = await AsyncCallbackManager(handlers).on_chat_model_start(_named(model), [messages])
    try:
        result = await call
    except BaseException as error:
        await run.on_llm_error(error, response=LLMResult(generations=[]))
        raise
    await run.on_llm_end(_whole(result))
    return result


def told_stream(
    model: BaseChatModel,
    handlers: list[BaseCallbackHandler],
    messages: Messages,
    chunks: Iterator[ChatGenerationChunk],
) -> Iterator[ChatGenerationChunk]:
    """Hand the chunks on, and tell the handlers."""
    (run,) = CallbackManager(handlers).on_chat_model_start(_named(model), [messages])
    seen: list[ChatGenerationChunk] = []
    try:
        for chunk in chunks:
            seen.append(chunk)
            run.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk
    except BaseException as error:
        run.on_llm_error(error, response=_joined(seen))
        raise
    run.on_llm_end(_joined(seen))


async def atold_stream(
    model: BaseChatModel, handlers: list[BaseCallbackHandler], messages: Messages, chunks: Any
) -> AsyncIterator[ChatGenerationChunk]:
    """Hand the chunks on, and tell the handlers."""
    (run,) = await AsyncCallbackManager(handlers).on_chat_model_start(_named(model), [messages])
    seen: list[ChatGenerationChunk] = []
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                seen.append(chunk)
                await run.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
    except BaseException as error:
        await run.on_llm_error(error, response=_joined(seen))
        raise
    await run.on_llm_end(_joined(seen))


def _named(model: BaseChatModel) -> dict[str, Any]:
    return {"id": model.lc_id(), "name": type(model).__name__}


def _whole(result: ChatResult) -> LLMResult:
    return LLMResult(generations=[list(result.generations)], llm_output=result.llm_output)


def _joined(chunks: list[ChatGenerationChunk]) -> LLMResult:
    whole = merge_chat_generation_chunks(chunks)
    return LLMResult(generations=[[whole]] if whole is not None else [])
