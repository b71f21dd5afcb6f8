"""Streams: what is shown, what is held, and what happens when they break or nobody reads on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager

import httpx
import pytest
from tests.adapters.contract import Bench, Pair, Way, chain
from tests.standins.brain import GREETING
from tests.standins.server import Fault

from taskrouter.errors import StreamBroken

PATIENCE_S = 10


async def test_a_stream_shows_its_text_once_and_in_pieces(bench: Bench, streamed: Way, pair: Pair) -> None:
    shown: list[str] = []
    reply = await bench.read(bench.routed(pair), streamed, bench.request(), shown)
    assert "".join(shown) == reply.text == GREETING
    assert len([piece for piece in shown if piece]) > 3
    assert bench.outcome.view.text == GREETING


async def test_a_stream_counts_tokens(bench: Bench, streamed: Way, pair: Pair) -> None:
    reply = await bench.ask(bench.routed(pair), streamed)
    usage = bench.outcome.usage
    assert not usage.estimated
    assert (reply.input_tokens, reply.output_tokens) == (usage.input_tokens, usage.output_tokens)
    assert usage.output_tokens == len(GREETING.split())


@pytest.mark.parametrize("fault", ["broken", "stops"])
async def test_a_stream_that_breaks_after_its_first_word_is_continued_by_nobody(
    bench: Bench, streamed: Way, pair: Pair, fault: Fault
) -> None:
    bench.vendors.fail(pair[0].model, fault)
    shown: list[str] = []
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each framework's own
        await bench.read(bench.routed(pair), streamed, bench.request(), shown)
    broken = next(error for error in chain(caught.value) if isinstance(error, StreamBroken))
    assert "".join(shown) == broken.partial.text
    assert GREETING.startswith(broken.partial.text)
    assert GREETING != broken.partial.text != ""
    assert bench.asked == [pair[0].model]
    assert [attempt.error_type for attempt in bench.watcher.attempts] == ["stream_broken"]


async def test_a_reader_that_leaves_closes_the_connection(bench: Bench, streamed: Way, pair: Pair) -> None:
    routed = bench.routed(pair)
    with bench.vendors.holding(pair[0].model) as gate, uncollected():
        if streamed == "stream":
            with closing(bench.door.stream(routed, bench.request())) as parts:  # type: ignore[type-var] # a generator
                while not next(parts):
                    pass
        else:
            async with aclosing(bench.door.astream(routed, bench.request())) as aparts:  # type: ignore[type-var] # one
                while not await anext(aparts):
                    pass
        if pair[0] in bench.door.lingering:
            await asyncio.to_thread(httpx.get, bench.vendors.url)  # by its answer a connection would have been closed
            assert not gate.left.is_set()
            await collected()
        assert await asyncio.to_thread(gate.left.wait, PATIENCE_S)
    assert bench.asked == [pair[0].model]
    assert [attempt.status for attempt in bench.watcher.attempts] == ["cancelled"]


async def test_a_cancelled_call_is_followed_by_no_other(bench: Bench, pair: Pair) -> None:
    routed = bench.routed(pair)
    with bench.vendors.holding(pair[0].model) as gate:
        call = asyncio.create_task(bench.door.aask(routed, bench.request()))
        assert await asyncio.to_thread(gate.reached.wait, PATIENCE_S)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(gate.left.wait, PATIENCE_S)
    assert bench.asked == [pair[0].model]
    assert [attempt.status for attempt in bench.watcher.attempts] == ["cancelled"]


@pytest.mark.parametrize("at_open", [True, False])
async def test_a_cancelled_stream_is_followed_by_no_other(bench: Bench, pair: Pair, *, at_open: bool) -> None:
    routed = bench.routed(pair)
    spoken = asyncio.Event()

    async def read() -> None:
        async for part in bench.door.astream(routed, bench.request()):
            if part:
                spoken.set()

    with bench.vendors.holding(pair[0].model, at_open=at_open) as gate:
        reading = asyncio.create_task(read())
        assert await asyncio.to_thread(gate.reached.wait, PATIENCE_S)
        if not at_open:
            await asyncio.wait_for(spoken.wait(), PATIENCE_S)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await asyncio.to_thread(gate.left.wait, PATIENCE_S)
    assert spoken.is_set() != at_open
    assert bench.asked == [pair[0].model]
    assert [attempt.status for attempt in bench.watcher.attempts] == ["cancelled"]


async def test_a_call_that_is_cancelled_does_not_disturb_the_next(bench: Bench, pair: Pair) -> None:
    routed = bench.routed(pair)
    with bench.vendors.holding(pair[0].model) as gate:
        call = asyncio.create_task(bench.door.aask(routed, bench.request()))
        assert await asyncio.to_thread(gate.reached.wait, PATIENCE_S)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert (await bench.ask(routed, "aask")).text == GREETING
    assert (bench.outcome.status, bench.outcome.model) == ("ok", pair[0].id)


async def idle() -> None:
    """Let all that has arrived be read: whoever reads waits for more."""
    for _ in range(100):
        await asyncio.sleep(0)


@contextmanager
def uncollected() -> Iterator[None]:
    """Let nothing be collected by chance."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def collected() -> None:
    """Collect what nobody holds. Asynchronous generators end in the loop, and then leave more to collect."""
    for _ in range(3):
        gc.collect()
        await idle()
