"""The same behaviour from sync and async code: threads, loops, cancellation, early closing, contexts."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from taskrouter import Router, Step
from taskrouter import errors as e
from taskrouter.execution import streams

STEP = Step(messages=[{"role": "user", "content": "hello"}])


def router(**execution: Any) -> Router:
    models = [{"id": name, "base_url": "http://127.0.0.1:9"} for name in ("first", "second")]
    config = {"execution": {"backoff_base_s": 0.001, "retries": 0, **execution}}
    return Router(models, incumbent="first", config=config)


def chunk(text: str = "", finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}


HELLO = [chunk(), chunk("hel"), chunk("lo", "stop")]


def test_a_failed_call_falls_back_sync() -> None:
    def call(model: str) -> str:
        if model == "first":
            raise ConnectionError
        return "hi"

    outcome = router().run(STEP, call)
    assert (outcome.response, outcome.model, outcome.status) == ("hi", "second", "fallback")


async def test_a_failed_call_falls_back_async() -> None:
    async def call(model: str) -> str:
        await asyncio.sleep(0)
        if model == "first":
            raise ConnectionError
        return "hi"

    outcome = await router().arun(STEP, call)
    assert (outcome.response, outcome.model, outcome.status) == ("hi", "second", "fallback")


async def test_an_async_call_that_hangs_is_cut_off_and_falls_back() -> None:
    cancelled = asyncio.Event()

    async def call(model: str) -> str:
        if model == "second":
            return "hi"
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "never"

    outcome = await router(timeout_s=0.01).arun(STEP, call)
    assert outcome.model == "second"
    assert outcome.attempts[0].error_type == "timeout"
    assert cancelled.is_set()


async def test_after_a_cancellation_no_further_call_is_made() -> None:
    called: list[str] = []
    started = asyncio.Event()

    async def call(model: str) -> str:
        called.append(model)
        started.set()
        await asyncio.Event().wait()
        return "never"

    task = asyncio.create_task(router().arun(STEP, call))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert called == ["first"]


def test_a_keyboard_interrupt_ends_the_step_at_once() -> None:
    called: list[str] = []

    def call(model: str) -> str:
        called.append(model)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        router().run(STEP, call)
    assert called == ["first"]


def test_one_router_serves_many_threads_and_many_event_loops(caplog: pytest.LogCaptureFixture) -> None:
    shared = router()
    barrier = threading.Barrier(8)

    async def acall(model: str) -> str:
        await asyncio.sleep(0)
        return model

    def work(number: int) -> str:
        barrier.wait()
        if number % 2:
            return shared.run(STEP, lambda model: model).response
        return asyncio.run(shared.arun(STEP, acall)).response

    with ThreadPoolExecutor(8) as threads, caplog.at_level(logging.WARNING):
        assert list(threads.map(work, range(8))) == ["first"] * 8
    assert caplog.records == []


def opened(streams: dict[str, Callable[[], Iterator[Any]]]) -> Callable[[str], Iterator[Any]]:
    return lambda model: streams[model]()


def test_a_stream_that_fails_before_its_first_text_falls_back() -> None:
    def broken() -> Iterator[Any]:
        yield chunk()
        raise ConnectionError

    stream = router().run_stream(STEP, opened({"first": broken, "second": lambda: iter(HELLO)}))
    assert [c["choices"][0]["delta"]["content"] for c in stream] == ["", "hel", "lo"]
    assert stream.outcome is not None
    assert (stream.outcome.status, stream.outcome.text) == ("fallback", "hello")


def test_a_stream_that_breaks_later_raises_with_what_had_arrived() -> None:
    def broken() -> Iterator[Any]:
        yield chunk("half")
        raise ConnectionError

    stream = router().run_stream(STEP, opened({"first": broken, "second": lambda: iter(HELLO)}))
    assert next(stream) == chunk("half")
    with pytest.raises(e.StreamBroken) as caught:
        next(stream)
    assert caught.value.partial.text == "half"
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_closing_a_stream_early_closes_its_source() -> None:
    closed: list[bool] = []

    def endless() -> Iterator[Any]:
        try:
            while True:
                yield chunk("x")
        finally:
            closed.append(True)

    with router().run_stream(STEP, opened({"first": endless})) as stream:
        next(stream)
    assert closed == [True]
    assert stream.outcome is None


def test_nothing_is_opened_before_the_first_chunk_is_asked_for() -> None:
    called: list[str] = []
    stream = router().run_stream(STEP, lambda model: called.append(model) or iter(HELLO))  # type: ignore[func-returns-value]
    stream.close()
    assert called == []


def test_the_time_of_a_stream_begins_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = router().run_stream(STEP, opened({"first": lambda: iter(HELLO)}))
    monkeypatch.setattr(streams, "clock", lambda: time.monotonic() + 3_600)
    assert len(list(stream)) == len(HELLO)
    assert stream.outcome is not None
    assert stream.outcome.latency_s < 60
    assert [(a.status, a.latency_s < 60) for a in stream.outcome.attempts] == [("ok", True)]


async def test_async_streams_take_iterators_and_awaitables_of_them() -> None:
    async def generator() -> AsyncIterator[Any]:
        for piece in HELLO:
            await asyncio.sleep(0)
            yield piece

    async def awaited(model: str) -> AsyncIterator[Any]:
        return generator()

    for open_stream in (lambda model: generator(), awaited):
        stream = router().arun_stream(STEP, open_stream)
        assert "".join([c["choices"][0]["delta"]["content"] async for c in stream]) == "hello"


async def test_an_async_stream_that_stalls_before_its_first_text_falls_back() -> None:
    async def stalled() -> AsyncIterator[Any]:
        yield chunk()
        await asyncio.Event().wait()

    async def good() -> AsyncIterator[Any]:
        for piece in HELLO:
            yield piece

    stream = router(first_token_timeout_s=0.02).arun_stream(
        STEP, lambda model: stalled() if model == "first" else good()
    )
    assert "".join([c["choices"][0]["delta"]["content"] async for c in stream]) == "hello"
    assert stream.outcome is not None
    assert stream.outcome.attempts[0].error_type == "timeout"


async def test_an_async_stream_that_stalls_after_its_first_text_is_broken() -> None:
    closed: list[bool] = []

    async def stalled() -> AsyncIterator[Any]:
        try:
            yield chunk("half")
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    stream = router(stall_timeout_s=0.02).arun_stream(STEP, lambda model: stalled())
    assert await anext(stream) == chunk("half")
    with pytest.raises(e.StreamBroken) as caught:
        await anext(stream)
    assert caught.value.partial.text == "half"
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert closed == [True]


def breaking() -> Iterator[Any]:
    yield chunk("hal")
    raise ConnectionError


async def abreaking() -> AsyncIterator[Any]:
    for piece in breaking():
        yield piece


async def agood() -> AsyncIterator[Any]:
    for piece in HELLO:
        yield piece


async def test_a_stream_that_is_held_back_leaks_nothing_of_a_failed_model() -> None:
    held = router(buffer_streams=True)
    stream = held.run_stream(STEP, opened({"first": breaking, "second": lambda: iter(HELLO)}))
    assert list(stream) == HELLO
    astream = held.arun_stream(STEP, lambda model: abreaking() if model == "first" else agood())
    assert [piece async for piece in astream] == HELLO
    for outcome in (stream.outcome, astream.outcome):
        assert outcome is not None
        assert [a.status for a in outcome.attempts] == ["failed", "ok"]


async def test_a_cancelled_reader_of_a_stream_that_is_held_back_closes_its_source() -> None:
    events: list[str] = []
    reading = asyncio.Event()

    async def slow() -> AsyncIterator[Any]:
        try:
            yield chunk("hel")
            reading.set()
            await asyncio.Event().wait()
        finally:
            events.append("closed")

    stream = router(buffer_streams=True).arun_stream(STEP, lambda model: slow())
    task = asyncio.ensure_future(anext(stream))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == ["closed"]


async def test_closing_an_async_stream_early_closes_its_source() -> None:
    closed: list[bool] = []

    async def endless() -> AsyncIterator[Any]:
        try:
            while True:
                yield chunk("x")
        finally:
            closed.append(True)

    async with router().arun_stream(STEP, lambda model: endless()) as stream:
        await anext(stream)
    assert closed == [True]


async def test_a_cancelled_reader_cancels_its_source_and_opens_nothing_else() -> None:
    events: list[str] = []
    reading = asyncio.Event()

    async def slow() -> AsyncIterator[Any]:
        try:
            yield chunk()
            reading.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    def open_stream(model: str) -> AsyncIterator[Any]:
        events.append(model)
        return slow()

    async def read() -> None:
        async for _ in router().arun_stream(STEP, open_stream):
            pass

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == ["first", "cancelled"]


def test_what_a_stream_sets_in_its_context_does_not_leak_to_the_reader() -> None:
    variable = contextvars.ContextVar("variable", default="outside")

    def source() -> Iterator[Any]:
        variable.set("inside")
        for piece in HELLO:
            assert variable.get() == "inside"
            yield piece

    for _ in router().run_stream(STEP, lambda model: source()):
        assert variable.get() == "outside"


class Futures:
    """A stream that is no generator: each chunk is something that can only be awaited."""

    def __init__(self, chunks: list[dict[str, Any]]) -> None:
        self._chunks = iter(chunks)

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    def __anext__(self) -> asyncio.Future[dict[str, Any]]:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        given = next(self._chunks, None)
        if given is None:
            raise StopAsyncIteration
        asyncio.get_running_loop().call_soon(future.set_result, given)
        return future


async def test_a_stream_of_futures_is_read_to_its_end() -> None:
    stream = router().arun_stream(STEP, lambda model: Futures(HELLO))
    assert [native async for native in stream] == HELLO
    assert stream.outcome is not None
    assert stream.outcome.text == "hello"
