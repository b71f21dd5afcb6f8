"""One routed model used from many loops, tasks and threads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from langchain_core.messages import AIMessageChunk

from langchain_taskrouter import RoutedChatModel
from taskrouter.simulator import RunningServer

from .conftest import Routed


async def one(model: RoutedChatModel) -> str:
    return (await model.ainvoke("What is 3 + 4?")).text


async def streamed(model: RoutedChatModel) -> list[AIMessageChunk]:
    return [chunk async for chunk in model.astream("What is 3 + 4?")]


def test_every_event_loop_finds_the_model_ready(routed: Routed, server: RunningServer) -> None:
    model = routed()
    for _ in range(3):
        assert asyncio.run(one(model)) == "3 + 4 = 7"
        assert "".join(chunk.text for chunk in asyncio.run(streamed(model))) == "3 + 4 = 7"
    assert [r.status for r in server.requests] == [200] * 6


def test_eight_threads_get_their_own_answers(routed: Routed) -> None:
    model = routed()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: model.invoke(f"What is {n} + 1?"), range(40)))
    assert [a.text for a in answers] == [f"{n} + 1 = {n + 1}" for n in range(40)]
    assert len({a.response_metadata["taskrouter"]["decision_id"] for a in answers}) == 40


def test_eight_threads_with_loops_of_their_own(routed: Routed) -> None:
    model = routed()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asyncio.run(one(model)), range(16)))
    assert answers == ["3 + 4 = 7"] * 16


async def test_tasks_of_one_loop_share_the_clients(routed: Routed) -> None:
    model = routed()
    assert await asyncio.gather(*(one(model) for _ in range(20))) == ["3 + 4 = 7"] * 20
