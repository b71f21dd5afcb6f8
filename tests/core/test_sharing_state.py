"""Routers that share what they have learned, in one process and in several."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from benchmarks.shared_budget import run
from tests.core.sharing_workers import (
    REFRESH_S,
    ask,
    breaker,
    open_breaker,
    shared_router,
    spend_steps,
    wait_until,
)
from tests.core.state.redis_server import RedisServer

from taskrouter import StepContext
from taskrouter.state.opening import open_store

MARGIN_S = 5.0
"""What a loaded machine may add to a refresh interval."""


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    address: str = request.getfixturevalue("redis_url")
    return address


Threads = Callable[[], list[str]]


@pytest.fixture
def threads() -> Threads:
    """Names the threads of ours that were started since the test began."""
    before = set(threading.enumerate())

    def started() -> list[str]:
        new = set(threading.enumerate()) - before
        return sorted(thread.name for thread in new if thread.name.startswith("taskrouter-state"))

    return started


def test_a_breaker_that_opens_in_one_router_is_open_in_another(url: str) -> None:
    with shared_router(url) as one, shared_router(url) as other:
        ask(other)
        while breaker(one) == "closed":
            ask(one, failing="first")
        took_s = wait_until(lambda: breaker(other) == "open")
        assert took_s < REFRESH_S + MARGIN_S
        state = next(state for state in other.health() if state.id == "first")
        assert state.why.endswith("seen by another process")
        assert ask(other) == "second"


def test_news_of_a_breaker_do_not_wait_for_the_refresh(url: str) -> None:
    with shared_router(url, refresh_s=3600.0) as one, shared_router(url) as other:
        ask(other)
        while breaker(one) == "closed":
            ask(one, failing="first")
        wait_until(lambda: breaker(other) == "open")
        assert ask(other) == "second"


def test_a_breaker_that_another_process_opened_as_its_last_act_is_known(url: str) -> None:
    with shared_router(url) as router:
        ask(router)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            assert pool.submit(open_breaker, url).result(60) == "open"
        wait_until(lambda: breaker(router) == "open")
        assert ask(router) == "second"


def test_processes_share_the_budget_of_a_run(url: str) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(spend_steps, url, 8) for _ in range(2)]
        answers = [answer for future in done for answer in future.result(60)]
    assert sorted(answers) == ["first"] * 10 + ["refused"] * 6
    with shared_router(url, budget={"run": {"steps": 10}}) as router:
        assert ask(router, run_id="ours") == "refused"
        assert ask(router, run_id="another") == "first"


def test_routers_see_what_others_have_spent_of_a_key(url: str) -> None:
    with shared_router(url) as one, shared_router(url) as other, other.budget(usd=1.0, key="job") as seen:
        ask(other)
        with one.budget(usd=1.0, key="job") as spent:
            for _ in range(3):
                ask(one)
        wait_until(lambda: (seen.steps_taken, seen.held_usd) == (4, 0.0))
        assert seen.spent_usd > 0.0
        wait_until(lambda: spent.spent_usd == seen.spent_usd)


def test_the_thread_begins_with_the_first_step_and_ends_with_the_router(url: str, threads: Threads) -> None:
    router = shared_router(url)
    assert "taskrouter-state" not in threads()
    for _ in range(3):
        ask(router)
    assert threads().count("taskrouter-state") == 1
    router.close()
    router.close()
    assert threads() == []


async def test_an_async_router_closes_its_store(url: str, threads: Threads) -> None:
    async with shared_router(url) as router:
        ask(router)
        assert threads() != []
    assert threads() == []


def test_a_closed_router_still_answers_with_what_it_knows(url: str, threads: Threads) -> None:
    router = shared_router(url, budget={"run": {"steps": 2}})
    assert ask(router, run_id="r") == "first"
    router.close()
    assert [ask(router, run_id="r"), ask(router, run_id="r")] == ["first", "refused"]
    wait_until(lambda: threads() == [])
    router.close()


def test_a_router_that_is_forgotten_is_collected_and_leaves_no_thread(url: str, threads: Threads) -> None:
    router = shared_router(url, refresh_s=3600.0)
    with router.budget(usd=1.0, key="job"):
        ask(router)
    assert threads() != []
    gone = weakref.ref(router)
    del router
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    wait_until(lambda: gc.collect() >= 0 and threads() == [])


def test_a_router_that_is_forgotten_while_its_file_is_locked_is_collected_too(
    tmp_path: Path, threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "state.db"
    router = shared_router(f"sqlite:///{file}", refresh_s=3600.0)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with router.budget(usd=1.0, key="job"):
        ask(router)
    wait_until(lambda: "is away" in caplog.text)  # the record is kept, and must not keep the router
    other.execute("ROLLBACK")
    other.close()
    gone = weakref.ref(router)
    del router
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    wait_until(lambda: gc.collect() >= 0 and threads() == [])
    assert gone() is None


def test_without_shared_state_there_is_no_thread(threads: Threads) -> None:
    with shared_router("memory:", budget={"run": {"steps": 1}}) as router:
        assert [ask(router, run_id="r"), ask(router, run_id="r")] == ["first", "refused"]
        assert threads() == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_has_a_thread_and_a_part_of_its_own(url: str) -> None:
    with shared_router(url, budget={"run": {"steps": 4}}) as router:
        assert ask(router, run_id="r") == "first"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert [ask(router, run_id="r") for _ in range(2)] == ["first", "first"]
                assert [thread.name for thread in threading.enumerate()].count("taskrouter-state") == 1
                while breaker(router) == "closed":
                    ask(router, failing="first")
                router.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        wait_until(lambda: breaker(router) == "open")
        assert [ask(router, run_id="r") for _ in range(2)] == ["second", "refused"]


LEAVING = """
import os, signal, sys
from tests.core.sharing_workers import ask, shared_router

router = shared_router(sys.argv[1], refresh_s=3600.0, budget={"total": {"usd": 1.0}})
for _ in range(2):
    print(ask(router), flush=True)
if sys.argv[2] == "kill":
    from taskrouter import Step
    from tests.core.sharing_workers import HELLO
    router.run(Step(messages=HELLO), lambda model: os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_at_the_end_of_a_program_the_last_word_is_said_and_a_killed_one_leaves_its_hold(url: str, end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING, url, end], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["first", "first"], done.stderr
    with shared_router(url, budget={"total": {"usd": 1.0}}) as router:
        (total,) = router._budgets.in_force(StepContext())
        ask(router)
        router._budgets.synchronise()
        spent, held = total.used("usd")
    assert spent > 0
    # Of a call that nobody could settle any more, what was set aside for it counts.
    assert (held > 0) == (end == "kill")


def test_a_store_that_fails_in_the_background_does_not_end_the_exchange(own_redis: RedisServer) -> None:
    with shared_router(f"{own_redis.url}?timeout_s=0.5") as one, shared_router(own_redis.url) as other:
        ask(one)
        ask(other)
        own_redis.kill()
        assert [ask(one), ask(other)] == ["first", "first"]
        own_redis.start()
        while breaker(one) == "closed":
            ask(one, failing="first")
        wait_until(lambda: breaker(other) == "open")


@pytest.mark.parametrize("outage", ["none", "killed", "late", "brief", "hanging"])
def test_processes_keep_a_shared_budget_whatever_redis_does(outage: str) -> None:
    result = run(outage, processes=2, limit_usd=0.05, away_s=0.0 if outage == "brief" else 0.7)
    broken = [said for said in result.failures() if not said.startswith("the breaker was known")]
    assert broken == []
    assert result.spent_usd > 0.0


def test_the_namespace_keeps_routers_apart(redis_url: str) -> None:
    address = redis_url.partition("?")[0]
    ours: dict[str, Any] = {"state": {"url": address, "namespace": f"n{time.time_ns()}", "refresh_s": REFRESH_S}}
    with shared_router(address, **ours, budget={"total": {"steps": 1}}) as one:
        assert [ask(one), ask(one)] == ["first", "refused"]
    theirs: dict[str, Any] = {"state": {**ours["state"], "namespace": f"n{time.time_ns()}"}}
    with shared_router(address, **theirs, budget={"total": {"steps": 1}}) as other:
        assert ask(other) == "first"


def test_the_store_has_the_breaker_under_a_name_that_says_what_it_is(url: str) -> None:
    with shared_router(url) as router:
        while breaker(router) == "closed":
            ask(router, failing="first")
    store = open_store(url)
    assert list(store.entries("breakers")) == ["breaker/endpoint/first"]
    store.close()
