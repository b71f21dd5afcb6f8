"""What is told of breakers that open and close, to whoever keeps a history of them."""

from __future__ import annotations

import threading

from tests.core.health.pools import EPOCH_S, answer, fail, health_of, one

from taskrouter import errors as e
from taskrouter.config import HealthConfig, ModelConfig
from taskrouter.health import Turn, endpoints_of
from taskrouter.health.health import UNHEARD
from taskrouter.sharing import TellingHealth


def test_a_breaker_that_opens_and_closes_is_two_turns_with_their_reasons():
    health = one(failures=2, open_s=10.0)
    fail(health, e.Timeout("a"), 1.0, times=2)
    answer(health, 20.0)
    assert list(health.turns) == [
        Turn("endpoint", "a", "open", "2 failures in a row, the last: timeout", "a"),
        Turn("endpoint", "a", "closed", "", "a"),
    ]


def test_what_changes_no_breaker_is_no_turn():
    health = one(failures=2, open_s=10.0)
    fail(health, e.Timeout("a"), 1.0)
    answer(health, 1.0)
    fail(health, e.RateLimited("a", retry_after_s=5.0), 1.0)
    fail(health, e.Timeout("a"), 2.0, times=2)
    fail(health, e.Timeout("a"), 3.0)  # begun while it is open
    fail(health, e.Timeout("a"), 15.0)  # the probe
    assert [turn.state for turn in health.turns] == ["open"]


def test_an_open_breaker_that_is_marked_down_is_a_turn_and_being_marked_again_is_none():
    health = one(failures=1, open_s=10.0, down_s=100.0)
    fail(health, e.Timeout("a"), 1.0)
    fail(health, e.Unauthenticated("a"), 20.0, times=2)
    fail(health, e.Timeout("a"), 200.0)
    assert [turn.state for turn in health.turns] == ["open", "down", "open"]


def test_a_turn_of_a_quota_group_names_the_endpoint_that_showed_it():
    health = health_of([{"id": name, "quota_group": "account"} for name in ("a", "b")], failures=1)
    fail(health, e.Unauthenticated("b", status=401), 1.0, endpoint="b")
    assert list(health.turns) == [Turn("group", "account", "down", "unauthenticated", "b")]


def test_what_another_process_has_told_is_no_turn_here():
    there, here = one(failures=1), one(failures=1)
    fail(there, e.Timeout("a"), 1.0)
    here.adopt(there.changes(1.0, EPOCH_S + 1.0), 1.0, EPOCH_S + 1.0)  # type: ignore[arg-type]
    assert here.sidelined(1.0)["a"].code == "breaker_open"
    assert not here.turns


def test_without_health_there_are_no_turns():
    health = one(enabled=False, failures=1)
    fail(health, e.Timeout("a"), 1.0)
    assert not health.turns


def test_turns_that_nobody_takes_are_bounded():
    health = one(failures=1, open_s=0.1)
    for now_s in range(UNHEARD):
        fail(health, e.Timeout("a"), float(now_s))
        answer(health, now_s + 0.5)
    assert len(health.turns) == UNHEARD


def test_listeners_are_told_once_in_order_and_may_ask_in_their_turn():
    health = TellingHealth(endpoints_of([ModelConfig(id="a")]), HealthConfig(failures=1, open_s=0.1))
    told: list[tuple[str, str]] = []
    asked: list[str] = []

    def listen(turn: Turn) -> None:
        told.append((turn.state, threading.current_thread().name))
        asked.extend(state.breaker for state in health.states(1.0))  # the lock is not held

    health.listeners.append(listen)
    fail(health, e.Timeout("a"), 1.0)
    answer(health, 5.0)
    here = threading.current_thread().name
    assert told == [("open", here), ("closed", here)]
    assert len(asked) == 2
    assert not health.turns
