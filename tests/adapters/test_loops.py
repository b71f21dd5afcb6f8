"""One routed model in many loops, tasks and threads: nothing local is taken for a failure of a vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.adapters.contract import Bench, Pair, Way
from tests.adapters.door import Reply
from tests.standins.brain import GREETING

CALLS = 16


@pytest.fixture
def healthy(bench: Bench, pair: Pair) -> Iterator[Bench]:
    """A bench on which the incumbent answers, and nobody else."""
    yield bench
    assert set(bench.asked) == {pair[0].model}
    assert {attempt.status for attempt in bench.watcher.attempts} == {"ok"}
    assert len(bench.watcher.attempts) == len(bench.asked)


def test_every_event_loop_finds_the_model_ready(healthy: Bench, way: Way, pair: Pair) -> None:
    routed = healthy.routed(pair)
    for _ in range(3):
        assert asyncio.run(healthy.ask(routed, way)).text == GREETING
    assert len(healthy.asked) == 3


def test_a_synchronous_call_needs_no_loop(healthy: Bench, sync: Way, pair: Pair) -> None:
    routed = healthy.routed(pair)
    for _ in range(2):
        assert _run_to_its_end(healthy, routed, sync) == GREETING


async def test_a_synchronous_call_works_within_a_running_loop(healthy: Bench, sync: Way, pair: Pair) -> None:
    routed = healthy.routed(pair)
    assert (await healthy.ask(routed, "aask")).text == GREETING
    assert (await healthy.ask(routed, sync)).text == GREETING
    assert (await healthy.ask(routed, "astream")).text == GREETING


def test_eight_threads_share_one_model(healthy: Bench, way: Way, pair: Pair) -> None:
    routed = healthy.routed(pair)

    def ask(_: int) -> Reply:
        return asyncio.run(healthy.ask(routed, way))

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(ask, range(CALLS)))
    assert [reply.text for reply in replies] == [GREETING] * CALLS
    assert len({outcome.decision_id for outcome in healthy.watcher.outcomes}) == CALLS


async def test_tasks_of_one_loop_share_one_model(healthy: Bench, pair: Pair) -> None:
    routed = healthy.routed(pair)
    ways: list[Way] = ["aask", "astream"]
    replies = await asyncio.gather(*(healthy.ask(routed, way) for way in ways * (CALLS // 2)))
    assert [reply.text for reply in replies] == [GREETING] * CALLS


def _run_to_its_end(bench: Bench, routed: object, way: Way) -> str:
    if way == "ask":
        return bench.door.ask(routed, bench.request()).text
    return "".join(part for part in bench.door.stream(routed, bench.request()) if isinstance(part, str))
