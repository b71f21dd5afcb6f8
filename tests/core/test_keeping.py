"""Feedback, and the store that a router keeps it in."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.core.sharing_workers import HELLO, feedback_in, shared_router, wait_until
from tests.core.state.redis_server import RedisServer

from taskrouter import ConfigurationError, FeedbackError, Step
from taskrouter.state.resilient import ResilientStore

ID = "dec_0123456789abcdef"


def test_feedback_is_a_record_of_the_decision_and_of_who_says_what(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url) as router:
        decision = router.route(Step(messages=HELLO))
        router.feedback(decision.id, 0.25, source="unit tests")
        router.feedback(decision.id, True)
    first, second = feedback_in(url)
    assert first.pop("at_s") <= second.pop("at_s")
    assert first.pop("owner") == second.pop("owner")
    assert first == {"v": 1, "decision_id": decision.id, "score": 0.25, "source": "unit tests"}
    assert second == {"v": 1, "decision_id": decision.id, "score": 1.0, "source": "user"}


KILLED = f"""
import os, signal, sys
from tests.core.sharing_workers import shared_router

shared_router(sys.argv[1]).feedback("{ID}", 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_with_sqlite_feedback_survives_the_end_of_the_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    subprocess.run([sys.executable, "-c", KILLED, url], timeout=120, check=False)
    assert [record["decision_id"] for record in feedback_in(url)] == [ID]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("dec_1", 1.0), "this str is no decision id: pass `outcome.decision_id`"),
        (("", 1.0), "this str is no decision id: pass `outcome.decision_id`"),
        ((None, 1.0), "this NoneType is no decision id: pass `outcome.decision_id`"),
        ((f"{ID}\n", 1.0), "this str is no decision id: pass `outcome.decision_id`"),
        ((ID, 1.01), f"score of {ID} is 1.01: it must be a number from 0 to 1"),
        ((ID, -0.5), f"score of {ID} is -0.5: it must be a number from 0 to 1"),
        ((ID, math.nan), f"score of {ID} is nan: it must be a number from 0 to 1"),
        ((ID, "good"), f"score of {ID} is a str: it must be a number from 0 to 1"),
        ((ID, None), f"score of {ID} is a NoneType: it must be a number from 0 to 1"),
        ((ID, 1.0, ""), f"source of {ID}: it must be a short name of who says so, such as 'user'"),
        ((ID, 1.0, 7), f"source of {ID}: it must be a short name of who says so, such as 'user'"),
        (
            (ID, 1.0, "The answer was\n wrong"),
            f"source of {ID}: it must be a short name of who says so, such as 'user'",
        ),
    ],
    ids=str,
)
def test_feedback_that_makes_no_sense_is_refused(given: tuple[Any, ...], said: str) -> None:
    with shared_router("memory:") as router, pytest.raises(FeedbackError) as refused:
        router.feedback(*given[:2], **({"source": given[2]} if given[2:] else {}))
    assert str(refused.value) == said


def test_feedback_that_a_file_cannot_take_is_an_error(tmp_path: Path) -> None:
    router = shared_router(f"sqlite:///{tmp_path}/state.db")
    router.close()
    with pytest.raises(FeedbackError) as refused:
        router.feedback(ID, 1.0)
    assert str(refused.value) == f"feedback for {ID} was not kept: state file {tmp_path}/state.db has been closed"


def test_feedback_waits_in_memory_while_redis_is_away(own_redis: RedisServer) -> None:
    with shared_router(own_redis.url) as router:
        router.feedback(ID, 1.0)
        own_redis.kill()
        router.feedback("dec_0000000000000000", 0.0)
        store = router._state.store
        assert isinstance(store, ResilientStore)
        assert store.pending == 1
        own_redis.start()
        wait_until(lambda: store.available)
        assert store.pending == 0
        assert [record["decision_id"] for record in feedback_in(own_redis.url)] == ["dec_0000000000000000"]


def test_feedback_that_redis_never_got_is_spoken_of_when_the_router_is_closed(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with shared_router(own_redis.url) as router:
        own_redis.kill()
        router.feedback(ID, 1.0)
    assert [record.getMessage() for record in caplog.records if "lost" in record.getMessage()] == [
        "shared state (redis) is closed while it is away: 1 log records are lost"
    ]


def test_a_store_that_cannot_be_used_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        shared_router(f"sqlite:///{tmp_path}/nowhere/state.db")
    with pytest.raises(ConfigurationError, match="does not start with a known scheme"):
        shared_router("postgres://host/db")
