"""Streams at every door: however one is read and left, its spans end where they belong and no context leaks."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest
from opentelemetry.trace import Span, get_current_span
from tests.adapters.contract import Pair
from tests.adapters.door import Reply
from tests.observability.scene import Scene
from tests.standins.brain import GREETING

from taskrouter.observability import names as n

PATIENCE_S = 10


def check(scene: Scene, *statuses: str) -> None:
    """As many steps as there are statuses, each with one call, and an HTTP request beneath it."""
    steps = scene.steps()
    assert sorted(step.status for step in steps) == sorted(statuses)
    assert [step.each(n.ATTEMPT_OUTCOME) for step in steps] == [[step.status] for step in steps]
    posts = [span for span in scene.spans if span.name == "POST"]
    assert len(posts) == len(steps)


def text(parts: list[str | Reply]) -> str:
    return "".join(part for part in parts if isinstance(part, str))


# --- synchronous ----------------------------------------------------------------------------------------------------


def first_words(parts: Iterator[str | Reply], around: Span) -> None:
    """Read to the first words; the application's span stays the current one."""
    while not next(parts):
        assert get_current_span() is around
    assert get_current_span() is around


def test_a_stream_read_to_its_end(scene: Scene, pair: Pair) -> None:
    with scene.request_span():
        around, read = get_current_span(), []
        for part in scene.door.stream(scene.routed(pair), scene.request()):
            assert get_current_span() is around
            read.append(part)
    assert text(read) == GREETING
    check(scene, "ok")


def test_a_stream_left_early(scene: Scene, pair: Pair) -> None:
    with scene.request_span(), scene.vendors.holding(pair[0].model):
        with closing(scene.door.stream(scene.routed(pair), scene.request())) as parts:  # type: ignore[type-var] # a generator
            first_words(parts, get_current_span())
        gc.collect()
    check(scene, "cancelled")


def test_a_stream_read_by_a_thread_for_each_part(scene: Scene, pair: Pair) -> None:
    read: list[str | Reply] = []

    def one(parts: Iterator[str | Reply]) -> None:
        read.extend([part for part in [next(parts, None)] if part is not None])

    with scene.request_span():
        parts = scene.door.stream(scene.routed(pair), scene.request())
        one(parts)
        while not isinstance(read[-1], Reply):
            reader = threading.Thread(target=one, args=(parts,))
            reader.start()
            reader.join()
    assert text(read) == GREETING
    check(scene, "ok")


def test_a_stream_closed_by_another_thread(scene: Scene, pair: Pair) -> None:
    with scene.request_span(), scene.vendors.holding(pair[0].model):
        parts: Any = scene.door.stream(scene.routed(pair), scene.request())
        first_words(parts, get_current_span())
        closer = threading.Thread(target=parts.close)
        closer.start()
        closer.join()
        gc.collect()
    check(scene, "cancelled")


def test_two_interleaved_streams(scene: Scene, pair: Pair) -> None:
    routed = scene.routed(pair)
    with scene.request_span():
        around = get_current_span()
        one, two = (scene.door.stream(routed, scene.request()) for _ in range(2))
        for _ in zip(one, two, strict=True):
            assert get_current_span() is around
    check(scene, "ok", "ok")


def test_a_stream_that_nobody_holds_any_more(scene: Scene, pair: Pair) -> None:
    with scene.request_span(), scene.vendors.holding(pair[0].model):
        parts = scene.door.stream(scene.routed(pair), scene.request())
        first_words(parts, get_current_span())
        del parts
        gc.collect()
    check(scene, "cancelled")


# --- asynchronous ---------------------------------------------------------------------------------------------------


async def afirst_words(parts: AsyncIterator[str | Reply], around: Span) -> None:
    while not await anext(parts):
        assert get_current_span() is around
    assert get_current_span() is around


async def test_an_async_stream_read_to_its_end(scene: Scene, pair: Pair) -> None:
    with scene.request_span():
        around, read = get_current_span(), []
        async for part in scene.door.astream(scene.routed(pair), scene.request()):
            assert get_current_span() is around
            read.append(part)
    assert text(read) == GREETING
    check(scene, "ok")


async def test_an_async_stream_left_early(scene: Scene, pair: Pair) -> None:
    with scene.request_span(), scene.vendors.holding(pair[0].model):
        async with aclosing(scene.door.astream(scene.routed(pair), scene.request())) as parts:  # type: ignore[type-var] # a generator
            await afirst_words(parts, get_current_span())
        await collected()
    check(scene, "cancelled")


async def test_an_async_stream_read_by_a_task_for_each_part(scene: Scene, pair: Pair) -> None:
    read: list[str | Reply] = []
    with scene.request_span():
        around = get_current_span()
        parts = scene.door.astream(scene.routed(pair), scene.request())
        while not (read and isinstance(read[-1], Reply)):
            read.append(await asyncio.create_task(one(parts)))
            assert get_current_span() is around
        with pytest.raises(StopAsyncIteration):
            await anext(parts)
    assert text(read) == GREETING
    check(scene, "ok")


async def test_an_async_stream_closed_by_another_task(scene: Scene, pair: Pair) -> None:
    with scene.request_span(), scene.vendors.holding(pair[0].model):
        parts: Any = scene.door.astream(scene.routed(pair), scene.request())
        await afirst_words(parts, get_current_span())
        await asyncio.create_task(parts.aclose())
        await collected()
    check(scene, "cancelled")


async def test_an_async_stream_whose_reader_is_cancelled(scene: Scene, pair: Pair) -> None:
    spoken = asyncio.Event()
    routed = scene.routed(pair)

    async def read() -> None:
        async for part in scene.door.astream(routed, scene.request()):
            if part:
                spoken.set()

    with scene.request_span(), scene.vendors.holding(pair[0].model):
        reading = asyncio.create_task(read())
        await asyncio.wait_for(spoken.wait(), PATIENCE_S)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await collected()
    check(scene, "cancelled")


async def test_two_interleaved_async_streams(scene: Scene, pair: Pair) -> None:
    routed = scene.routed(pair)
    with scene.request_span():
        around = get_current_span()
        reading = [scene.door.astream(routed, scene.request()) for _ in range(2)]
        while reading:
            for parts in list(reading):
                if await anext(parts, None) is None:
                    reading.remove(parts)
                assert get_current_span() is around
    check(scene, "ok", "ok")


async def test_an_async_stream_read_under_a_time_limit(scene: Scene, pair: Pair) -> None:
    read: list[str | Reply] = []
    with scene.request_span():
        around = get_current_span()
        parts = scene.door.astream(scene.routed(pair), scene.request())
        while not (read and isinstance(read[-1], Reply)):
            read.append(await asyncio.wait_for(one(parts), PATIENCE_S))
            assert get_current_span() is around
        with pytest.raises(StopAsyncIteration):
            await anext(parts)
    assert text(read) == GREETING
    check(scene, "ok")


async def test_an_async_stream_whose_time_limit_runs_out(scene: Scene, pair: Pair) -> None:
    with scene.request_span(), scene.vendors.holding(pair[0].model):
        parts = scene.door.astream(scene.routed(pair), scene.request())
        await afirst_words(parts, get_current_span())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(to_the_end(parts), timeout=0.05)
        await collected()
    check(scene, "cancelled")


async def test_an_async_stream_that_nobody_holds_any_more(scene: Scene, pair: Pair) -> None:
    with scene.request_span(), scene.vendors.holding(pair[0].model):
        parts = scene.door.astream(scene.routed(pair), scene.request())
        await afirst_words(parts, get_current_span())
        del parts
        await collected()
    check(scene, "cancelled")


async def one(parts: AsyncIterator[str | Reply]) -> str | Reply:
    return await anext(parts)


async def to_the_end(parts: AsyncIterator[str | Reply]) -> None:
    async for _ in parts:
        pass


async def collected() -> None:
    """Collect what nobody holds. Asynchronous generators end in the loop, and then leave more to collect."""
    for _ in range(5):
        gc.collect()
        for _ in range(100):
            await asyncio.sleep(0)
