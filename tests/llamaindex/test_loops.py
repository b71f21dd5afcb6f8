"""Event loops, threads and clients of the user's own: nothing local is taken for a failure of a vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.standins.brain import GREETING

from .conftest import WAYS, Bench, ask, run, said


@pytest.fixture
def healthy(bench: Bench) -> Iterator[Bench]:
    """A bench on which every call is one request, and none fails."""
    yield bench
    assert {attempt.status for attempt in bench.watcher.attempts} == {"ok"}
    assert len(bench.watcher.attempts) == len(bench.asked)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["chatty", "quiet"])
def test_three_loops_share_one_llm(healthy: Bench, way: str, model: str) -> None:
    llm = healthy.both()
    for _ in range(3):
        assert run(lambda: ask(llm, way, model=model)).message.content == GREETING


@pytest.mark.parametrize("way", WAYS)
def test_eight_threads_share_one_llm(healthy: Bench, way: str) -> None:
    llm = healthy.both()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: run(lambda: ask(llm, way)), range(16)))
    assert [answer.message.content for answer in answers] == [GREETING] * 16
    assert len({answer.additional_kwargs["taskrouter"]["decision_id"] for answer in answers}) == 16


async def test_synchronous_calls_work_in_a_running_loop(healthy: Bench) -> None:
    llm = healthy.both()
    for way in ("achat", "chat", "astream_chat", "stream_chat", "achat"):
        assert (await ask(llm, way)).message.content == GREETING


async def test_tasks_share_one_llm(healthy: Bench) -> None:
    llm = healthy.both()
    answers = await asyncio.gather(*(ask(llm, way) for way in ("achat", "astream_chat") * 8))
    assert [answer.message.content for answer in answers] == [GREETING] * 16


@pytest.mark.parametrize("way", WAYS)
def test_clients_that_are_made_for_every_call_do(healthy: Bench, way: str) -> None:
    llm = healthy.routed({"chatty": healthy.openai(reuse_client=False)})
    for _ in range(3):
        assert run(lambda: ask(llm, way)).message.content == GREETING


@pytest.mark.parametrize("way", WAYS)
async def test_a_client_that_is_made_for_every_call_does_not_retry(bench: Bench, way: str) -> None:
    bench.vendors.fail("gpt-4.1-mini", "unavailable")
    llm = bench.routed({"chatty": bench.openai(reuse_client=False)})
    with pytest.raises(Exception):  # noqa: B017, PT011 - the requests are the point
        await ask(llm, way)
    assert len(bench.asked) == 1


async def test_connections_of_the_user_are_used_and_stay_open(healthy: Bench) -> None:
    seen: list[str] = []

    async def note(request: httpx.Request) -> None:
        seen.append(str(request.url))

    async with httpx.AsyncClient(event_hooks={"request": [note]}) as aclient:
        with httpx.Client(event_hooks={"request": [lambda request: seen.append(str(request.url))]}) as client:
            llm = healthy.routed({"chatty": healthy.openai(async_http_client=aclient, http_client=client)})
            for way in WAYS:
                assert (await ask(llm, way)).message.content == GREETING
            llm.router.close()
            assert not client.is_closed
        assert not aclient.is_closed
    assert len(seen) == 4


def test_a_routed_llm_may_be_a_candidate(healthy: Bench) -> None:
    inner = healthy.both()
    outer = type(inner)({"inner": inner})
    answer = outer.chat(said("Hello"))
    assert answer.message.content == GREETING
    assert answer.additional_kwargs["taskrouter"]["model"] == "inner"
