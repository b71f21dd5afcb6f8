"""Streams: what is held, what is shown, and what is left behind when they break or nobody reads."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from tests.standins.brain import GREETING
from tests.standins.server import Fault

from taskrouter import BudgetExceededError
from taskrouter.errors import AllAttemptsFailedError, StreamBroken

from .conftest import CLAUDE, FIRST, Bench, ask, read, said

STREAMS = ("stream_chat", "astream_chat", "stream_complete", "astream_complete")
PATIENCE_S = 10


@pytest.mark.parametrize("fault", ["unavailable", "cut", "empty", "silent"])
@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_what_fails_before_its_first_word_falls_back(
    bench: Bench, way: str, fault: Fault, incumbent: str
) -> None:
    dead = FIRST if incumbent == "chatty" else CLAUDE
    bench.vendors.fail(dead, fault)
    chunks = await read(bench.both(incumbent=incumbent), way)
    assert "".join(chunk.delta or "" for chunk in chunks) == GREETING
    assert chunks[-1].additional_kwargs["taskrouter"]["status"] == "fallback"
    assert bench.asked == [dead, CLAUDE if dead == FIRST else FIRST]


@pytest.mark.parametrize("fault", ["broken", "stops"])
@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_what_breaks_after_its_first_word_is_told(bench: Bench, way: str, fault: Fault, incumbent: str) -> None:
    bench.vendors.fail(FIRST if incumbent == "chatty" else CLAUDE, fault)
    with pytest.raises(StreamBroken) as caught:
        await read(bench.both(incumbent=incumbent), way)
    assert GREETING.startswith(caught.value.partial.text)
    assert len(bench.asked) == 1


@pytest.mark.parametrize("way", STREAMS)
async def test_no_chunk_is_empty_before_the_first_word(bench: Bench, way: str) -> None:
    chunks = await read(bench.routed(), way)
    assert "".join(chunk.delta or "" for chunk in chunks[:2])
    assert all("taskrouter" not in chunk.additional_kwargs for chunk in chunks[:-1])


@pytest.mark.parametrize("way", ["stream_chat", "astream_chat"])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_whoever_leaves_closes_the_connection(bench: Bench, way: str, incumbent: str) -> None:
    llm: Any = bench.both(incumbent=incumbent)
    with bench.vendors.holding(FIRST if incumbent == "chatty" else CLAUDE) as gate:
        if way == "stream_chat":
            stream = llm.stream_chat(said("Hello"))
            next(stream)
            stream.close()
        else:
            stream = await llm.astream_chat(said("Hello"))
            await anext(stream)
            await stream.aclose()
        assert await asyncio.to_thread(gate.left.wait, PATIENCE_S)
    assert len(bench.asked) == 1
    assert [attempt.status for attempt in bench.watcher.attempts] == ["cancelled"]


def test_a_reader_that_raises_closes_it_too(bench: Bench) -> None:
    llm = bench.both()
    with bench.vendors.holding(FIRST) as gate:
        stream = llm.stream_chat(said("Hello"))
        next(stream)
        with pytest.raises(KeyError):
            stream.throw(KeyError("the reader's own"))
        assert gate.left.wait(PATIENCE_S)
    assert bench.asked == [FIRST]


@pytest.mark.parametrize("way", STREAMS)
async def test_a_stream_that_nobody_starts_leaves_nothing_open(bench: Bench, way: str) -> None:
    llm = bench.both(budget={"run": {"steps": 1}})
    given = said("Hello") if "chat" in way else "Hello"
    for _ in range(3):
        stream = getattr(llm, way)(given, taskrouter={"run_id": "one"})
        stream = await stream if way.startswith("a") else stream
        del stream
    gc.collect()
    assert bench.asked == []
    assert [span.name for span in bench.exporter.get_finished_spans() if not span.end_time] == []
    answer = await ask(llm, way, taskrouter={"run_id": "one"})
    assert answer.additional_kwargs["taskrouter"]["status"] == "ok"
    with pytest.raises(BudgetExceededError):
        await ask(llm, way, taskrouter={"run_id": "one"})


@pytest.mark.parametrize("way", STREAMS)
async def test_nobody_that_streams_is_an_error_with_every_attempt(bench: Bench, way: str) -> None:
    for model in (FIRST, CLAUDE):
        bench.vendors.fail(model, "unavailable")
    with pytest.raises(AllAttemptsFailedError) as caught:
        await read(bench.both(), way)
    assert len(caught.value.attempts) == 2


async def test_streams_at_once_do_not_mix(bench: Bench) -> None:
    llm = bench.both()
    streams: list[Any] = [llm.stream_chat(said("Hello"), model=model) for model in ("chatty", "quiet") * 4]
    texts = [""] * len(streams)
    accounts: list[Any] = [None] * len(streams)
    while any(account is None for account in accounts):
        for place, stream in enumerate(streams):
            for chunk in stream:
                texts[place] += chunk.delta or ""
                accounts[place] = chunk.additional_kwargs.get("taskrouter")
                break
    assert texts == [GREETING] * 8
    assert [account["model"] for account in accounts] == ["chatty", "quiet"] * 4


async def test_buffered_streams_are_checked_like_whole_answers(bench: Bench) -> None:
    bench.vendors.fail(FIRST, "broken")
    llm = bench.both(execution={"buffer_streams": True, "retries": 0})
    chunks = await read(llm, "astream_chat")
    assert "".join(chunk.delta or "" for chunk in chunks) == GREETING
    assert bench.asked == [FIRST, CLAUDE]
