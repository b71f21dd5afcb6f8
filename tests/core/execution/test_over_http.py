"""Hedges and streams over real HTTP: what the server sees of them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from taskrouter import Router, Step
from taskrouter.errors import StreamBroken
from taskrouter.simulator import RunningServer

STEP = Step(messages=[{"role": "user", "content": "What is 17 + 25?"}])


def router(pool: list[dict[str, Any]], backend: str = "openai", **config: Any) -> Router:
    models = [{**model, "backend": backend} for model in pool]
    execution = {"retries": 0, **config.pop("execution", {})}
    return Router(models, incumbent="first", config={"execution": execution, **config})


def texts(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


async def test_the_connection_of_a_call_that_lost_to_its_hedge_is_closed(
    pool: list[dict[str, Any]], server: RunningServer
) -> None:
    server.script("first", "timeout")
    async with router(pool, execution={"hedge_quantile": 0.5}) as hedging:
        for _ in range(5):
            hedging._health.admit("first", time.monotonic())
            hedging._health.succeeded("first", time.monotonic(), latency_s=0.05)
        outcome = await hedging.acomplete(STEP)
        assert "42" in outcome.text
        assert [(a.role, a.status) for a in outcome.attempts] == [("primary", "cancelled"), ("hedge", "ok")]
        assert server.wait_for_connections(1), "the winner's may be kept for the next call"


def test_a_sync_stream_that_stalls_is_left_by_its_clients_read_timeout(
    pool: list[dict[str, Any]], server: RunningServer
) -> None:
    with router(pool, execution={"stall_timeout_s": 0.3}) as r:
        server.script("first", "stall_after_role", "stall")
        stream = r.stream(STEP)
        assert "42" in texts(list(stream))
        assert stream.outcome is not None
        assert [a.error_type for a in stream.outcome.attempts] == ["timeout", None]
        with pytest.raises(StreamBroken) as caught:
            list(r.stream(STEP))
        assert caught.value.partial.text
        assert server.wait_for_connections(1)


@pytest.mark.parametrize("backend", ["openai", "litellm"])
def test_closing_a_stream_early_closes_its_connection(
    pool: list[dict[str, Any]], server: RunningServer, backend: str
) -> None:
    server.script("first", "stall")
    with router(pool, backend) as r:
        with r.stream(STEP) as stream:
            next(stream)
            assert server.open_connections == 1
        assert server.wait_for_connections(0)


@pytest.mark.parametrize("backend", ["openai", "litellm"])
async def test_closing_an_async_stream_early_closes_its_connection(
    pool: list[dict[str, Any]], server: RunningServer, backend: str
) -> None:
    server.script("first", "stall")
    async with router(pool, backend) as r:
        async with r.astream(STEP) as stream:
            await anext(stream)
            assert server.open_connections == 1
        assert await asyncio.to_thread(server.wait_for_connections, 0)


@pytest.mark.parametrize(
    "fault", ["cut_stream", "drop_connection", "error_event", "truncated", "refusal", "malformed_json"]
)
def test_a_stream_that_is_held_back_falls_back_from_its_middle(
    pool: list[dict[str, Any]], server: RunningServer, fault: Any
) -> None:
    server.script("first", fault)
    with router(pool, execution={"buffer_streams": True}) as r, r.stream(STEP) as stream:
        chunks = list(stream)
    assert stream.outcome is not None
    assert [(a.model, a.status) for a in stream.outcome.attempts] == [("first", "failed"), ("second", "ok")]
    assert texts(chunks) == stream.outcome.text
    assert {chunk.model for chunk in chunks} == {"second"}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_that_is_accepted_is_the_answer(
    pool: list[dict[str, Any]], server: RunningServer, streamed: bool
) -> None:
    server.script("first", "refusal")
    with router(pool, gates={"refused": "accept"}) as r:
        if streamed:
            with r.stream(STEP) as stream:
                list(stream)
            outcome = stream.outcome
        else:
            outcome = r.complete(STEP)
    assert outcome is not None
    assert [a.model for a in outcome.attempts] == ["first"]
    assert outcome.view.refused or outcome.view.finish_reason == "content_filter"
