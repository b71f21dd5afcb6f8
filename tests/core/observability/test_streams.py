"""Streams and spans: however a stream is read and left, every span ends and no context leaks."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.trace import StatusCode, get_current_span
from tests.core.observability.recorder import HELLO, STEP, Recorder, attributes, chunk

from taskrouter.errors import StreamBroken
from taskrouter.observability import names as n

CHAT = "agent > route chat > chat openai/first"


@contextmanager
def uncollected() -> Iterator[None]:
    """Only reference counts free objects here: what waits for the cyclic collector stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Source:
    """A provider's client with an instrumentation of its own: one span for opening, one held across the reading."""

    def __init__(self, recorder: Recorder, chunks: list[Any] | None = None, fault: Exception | None = None) -> None:
        self._recorder, self._chunks, self._fault = recorder, HELLO if chunks is None else chunks, fault
        self.closed = 0

    def open(self, model: str) -> Iterator[Any]:
        with self._recorder.span("POST"):
            return self._read()

    async def aopen(self, model: str) -> AsyncIterator[Any]:
        with self._recorder.span("POST"):
            await asyncio.sleep(0)
            return self._aread()

    def _read(self) -> Iterator[Any]:
        try:
            with self._recorder.span("read"):
                yield from self._chunks
                if self._fault is not None:
                    raise self._fault
        finally:
            self.closed += 1

    async def _aread(self) -> AsyncIterator[Any]:
        try:
            with self._recorder.span("read"):
                for piece in self._chunks:
                    await asyncio.sleep(0)
                    yield piece
                if self._fault is not None:
                    raise self._fault
        finally:
            self.closed += 1


def check(recorder: Recorder, status: str, chats: int = 1) -> None:
    """All spans have ended where they belong, none as an error, and the outcome is as expected."""
    assert recorder.open == {}
    assert recorder.tree().count(CHAT) == chats
    assert recorder.tree().count(f"{CHAT} > POST") == chats
    assert recorder.tree().count(f"{CHAT} > read") == chats
    routes = [span for span in recorder.spans if span.name == "route chat"]
    assert [attributes(route)[n.OUTCOME_STATUS] for route in routes] == [status] * chats
    assert all(span.status.status_code is StatusCode.UNSET for span in routes)


def texts(chunks: list[Any]) -> str:
    return "".join(c["choices"][0]["delta"]["content"] for c in chunks)


# --- sync -----------------------------------------------------------------------------------------------------------


def test_a_stream_read_to_its_end(recorder: Recorder) -> None:
    with recorder.span("agent") as agent:
        for _ in recorder.router().run_stream(STEP, Source(recorder).open):
            assert get_current_span() is agent
        assert get_current_span() is agent
    check(recorder, "ok")


def test_a_stream_closed_early(recorder: Recorder) -> None:
    source = Source(recorder)
    with recorder.span("agent") as agent:
        with recorder.router().run_stream(STEP, source.open) as stream:
            next(stream)
            assert get_current_span() is agent
        assert get_current_span() is agent
    check(recorder, "cancelled")
    assert source.closed == 1


def test_a_stream_closed_by_another_thread(recorder: Recorder) -> None:
    with recorder.span("agent") as agent:
        stream = recorder.router().run_stream(STEP, Source(recorder).open)
        next(stream)
        closer = threading.Thread(target=stream.close)
        closer.start()
        closer.join()
        assert get_current_span() is agent
    check(recorder, "cancelled")


def test_a_stream_dropped_without_closing_ends_at_once(recorder: Recorder) -> None:
    source = Source(recorder)
    with recorder.span("agent") as agent, uncollected():
        stream = recorder.router().run_stream(STEP, source.open)
        next(stream)
        del stream
        assert source.closed == 1
        assert list(recorder.open.values()) == ["agent"]
        assert get_current_span() is agent
    check(recorder, "cancelled")


def test_two_interleaved_streams(recorder: Recorder) -> None:
    router = recorder.router()
    with recorder.span("agent") as agent:
        one, two = (router.run_stream(STEP, Source(recorder).open) for _ in range(2))
        for _ in zip(one, two, strict=True):
            assert get_current_span() is agent
    check(recorder, "ok", chats=2)


def test_a_stream_read_outside_the_span_it_was_asked_for_in_still_belongs_there(recorder: Recorder) -> None:
    with recorder.span("agent"):
        stream = recorder.router().run_stream(STEP, Source(recorder).open)
    list(stream)
    check(recorder, "ok")


def test_a_stream_never_read_makes_no_span(recorder: Recorder) -> None:
    recorder.router().run_stream(STEP, Source(recorder).open).close()
    assert recorder.tree() == []


def test_a_stream_that_falls_back_has_a_chat_span_per_model(recorder: Recorder) -> None:
    sources = {"first": Source(recorder, [chunk()], ConnectionError()), "second": Source(recorder)}
    with recorder.span("agent"):
        assert texts(list(recorder.router().run_stream(STEP, lambda model: sources[model].open(model)))) == "hello"
    assert recorder.tree() == [
        "agent",
        "agent > route chat",
        "agent > route chat > chat openai/first",
        "agent > route chat > chat openai/first > POST",
        "agent > route chat > chat openai/first > read",
        "agent > route chat > chat openai/second",
        "agent > route chat > chat openai/second > POST",
        "agent > route chat > chat openai/second > read",
    ]


def test_a_stream_that_breaks_is_an_error_that_says_so(recorder: Recorder) -> None:
    source = Source(recorder, [chunk("half")], ConnectionError())
    with pytest.raises(StreamBroken):
        list(recorder.router().run_stream(STEP, source.open))
    chat = recorder.one("chat openai/first")
    assert attributes(chat)[n.ERROR_TYPE] == "stream_broken"
    assert chat.status.status_code is recorder.one("route chat").status.status_code is StatusCode.ERROR


# --- async ----------------------------------------------------------------------------------------------------------


async def test_an_async_stream_read_to_its_end(recorder: Recorder) -> None:
    with recorder.span("agent") as agent:
        async for _ in recorder.router().arun_stream(STEP, Source(recorder).aopen):
            assert get_current_span() is agent
        assert get_current_span() is agent
    check(recorder, "ok")


async def test_an_async_stream_closed_early(recorder: Recorder) -> None:
    source = Source(recorder)
    with recorder.span("agent") as agent:
        async with recorder.router().arun_stream(STEP, source.aopen) as stream:
            await anext(stream)
        assert get_current_span() is agent
    check(recorder, "cancelled")
    assert source.closed == 1


async def test_an_async_stream_read_by_a_task_per_chunk(recorder: Recorder) -> None:
    with recorder.span("agent") as agent:
        stream = recorder.router().arun_stream(STEP, Source(recorder).aopen)
        read = [await asyncio.create_task(_next(stream)) for _ in HELLO]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert texts(read) == "hello"
        assert get_current_span() is agent
    check(recorder, "ok")


async def test_an_async_stream_closed_by_another_task(recorder: Recorder) -> None:
    with recorder.span("agent") as agent:
        stream = recorder.router().arun_stream(STEP, Source(recorder).aopen)
        await anext(stream)
        await asyncio.create_task(stream.aclose())
        assert get_current_span() is agent
    check(recorder, "cancelled")


async def test_an_async_stream_whose_reader_is_cancelled(recorder: Recorder) -> None:
    reading = asyncio.Event()

    class Stalled(Source):
        async def _aread(self) -> AsyncIterator[Any]:
            with recorder.span("read"):
                yield chunk("hel")
                reading.set()
                await asyncio.Event().wait()

    async def read() -> None:
        async for _ in recorder.router().arun_stream(STEP, Stalled(recorder).aopen):
            pass

    with recorder.span("agent") as agent:
        task = asyncio.create_task(read())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert get_current_span() is agent
    check(recorder, "cancelled")


async def test_two_interleaved_async_streams(recorder: Recorder) -> None:
    router = recorder.router()
    with recorder.span("agent") as agent:
        one, two = (router.arun_stream(STEP, Source(recorder).aopen) for _ in range(2))
        for _ in HELLO:
            await anext(one)
            await anext(two)
            assert get_current_span() is agent
        for stream in (one, two):
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
    check(recorder, "ok", chats=2)


async def test_an_async_stream_read_under_a_time_limit(recorder: Recorder) -> None:
    with recorder.span("agent") as agent:
        stream = recorder.router().arun_stream(STEP, Source(recorder).aopen)
        read = [await asyncio.wait_for(anext(stream), timeout=60) for _ in HELLO]
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(stream), timeout=60)
        assert texts(read) == "hello"
        assert get_current_span() is agent
    check(recorder, "ok")


async def test_an_async_stream_whose_time_limit_runs_out(recorder: Recorder) -> None:
    class Stalled(Source):
        async def _aread(self) -> AsyncIterator[Any]:
            with recorder.span("read"):
                yield chunk("hel")
                await asyncio.Event().wait()

    with recorder.span("agent") as agent:
        stream = recorder.router().arun_stream(STEP, Stalled(recorder).aopen)
        await anext(stream)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), timeout=0.01)
        assert get_current_span() is agent
    check(recorder, "cancelled")


async def test_an_async_stream_dropped_without_closing_ends_without_the_collector(recorder: Recorder) -> None:
    source = Source(recorder)
    with recorder.span("agent") as agent, uncollected():
        stream = recorder.router().arun_stream(STEP, source.aopen)
        await anext(stream)
        del stream
        await _until(lambda: list(recorder.open.values()) == ["agent"])
        assert source.closed == 1
        assert get_current_span() is agent
    check(recorder, "cancelled")


async def plain(model: str) -> AsyncIterator[Any]:
    """A source without spans: one that it holds across a `yield` the closing event loop would end itself, wrongly."""
    for piece in HELLO:
        yield piece


async def leave(recorder: Recorder) -> Any:
    stream = recorder.router().arun_stream(STEP, plain)
    await anext(stream)
    return stream


def test_an_async_stream_left_behind_by_its_event_loop_ends_with_it(recorder: Recorder) -> None:
    with recorder.span("agent"):
        stream = asyncio.run(leave(recorder))
        assert list(recorder.open.values()) == ["agent"]
    assert stream.outcome is None
    assert attributes(recorder.one("route chat"))[n.OUTCOME_STATUS] == "cancelled"


def test_an_async_stream_that_outlives_its_event_loop_ends_when_it_is_dropped(recorder: Recorder) -> None:
    loop = asyncio.new_event_loop()
    with recorder.span("agent"), uncollected():
        stream = loop.run_until_complete(leave(recorder))
        loop.close()  # nobody has told its asynchronous generators
        del stream
        assert list(recorder.open.values()) == ["agent"]
    assert attributes(recorder.one("route chat"))[n.OUTCOME_STATUS] == "cancelled"


async def _next(stream: Any) -> Any:
    return await anext(stream)


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to pass")
