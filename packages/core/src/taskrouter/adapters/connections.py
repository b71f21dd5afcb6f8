"""Streams that close their connection when their reader leaves.

Frameworks' integrations iterate over an SDK's stream and drop it: its connection stays open, and its provider goes on
writing and charging, until the garbage collector comes. So the streams that an SDK client of our own opens are noted,
and closed with the stream of the integration.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import suppress
from contextvars import ContextVar
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeVar

C = TypeVar("C")

_OPENED: ContextVar[list[Any] | None] = ContextVar("taskrouter_opened_streams", default=None)
"""The HTTP responses beneath the stream that is being read: each of a step's attempts has a context of its own."""


ANSWERS: ContextVar[list[Any] | None] = ContextVar("taskrouter_sdk_answers", default=None)
"""Takes in the whole answers of such clients, where somebody asks for them: some integrations hand on a piece alone."""


def noting(client: Any) -> Any:
    """Make an SDK client note the streams that it opens and its answers, and return it; it must be a copy of our own.

    The class's method is looked up at each call, so that instrumentations that replace it later are not passed over.
    """
    cls = type(client)

    def request(*args: Any, **kwargs: Any) -> Any:
        return _noted(cls.request(client, *args, **kwargs))

    async def arequest(*args: Any, **kwargs: Any) -> Any:
        return _noted(await cls.request(client, *args, **kwargs))

    client.request = arequest if iscoroutinefunction(cls.request) else request
    return client


def hanging_up(open_stream: Callable[[], Iterator[C]]) -> Generator[C, None, None]:
    """Open a stream and hand its chunks on; at the end, whichever it is, close the connections beneath.

    For streams of `run_stream`. Nothing is sent before the first chunk is asked for.
    """
    opened: list[Any] = []
    _OPENED.set(opened)
    try:
        yield from open_stream()  # which closes it, too
    finally:
        for response in opened:
            with suppress(Exception):  # the answer, or the failure, is settled: closing may not change it
                response.close()


async def ahanging_up(
    open_stream: Callable[[], AsyncIterator[C] | Awaitable[AsyncIterator[C]]],
) -> AsyncGenerator[C, None]:
    """Do the same for streams of `arun_stream`."""
    opened: list[Any] = []
    _OPENED.set(opened)
    try:
        chunks = open_stream()
        if isawaitable(chunks):
            chunks = await chunks
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
    finally:
        for response in opened:
            with suppress(Exception):  # as above
                await response.aclose()


def _noted(answer: Any) -> Any:
    response = getattr(answer, "response", None) or getattr(
        answer, "http_response", None
    )  # of a stream, or a raw answer
    if getattr(response, "is_closed", True):
        if (answers := ANSWERS.get()) is not None:
            answers.append(answer)
    elif (opened := _OPENED.get()) is not None:
        opened.append(response)
    return answer
