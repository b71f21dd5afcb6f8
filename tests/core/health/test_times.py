"""Latencies, slowness, cold starts, and the states for people."""

import math
from statistics import median_low

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.health.pools import admitted, answer, deployments, fail, health_of, one

from taskrouter import errors as e
from taskrouter.health.latencies import KEPT, KEPT_S, MIN_MEDIAN, Latencies


def slowed(**config):
    """A model that has just been found slow."""
    health = health_of([{"id": "a"}, {"id": "b"}], slow_after_s=2.0, window_s=60.0, **config)
    answer(health, 10.0, latency_s=5.0, times=5)
    return health


def test_a_median_needs_five_calls_and_a_tail_quantile_twenty():
    health = one()
    answer(health, 1.0, latency_s=2.0, times=4)
    assert health.latency_s("a") is None
    assert health.latencies_s() == {}
    answer(health, 1.0, latency_s=2.0)
    assert health.latency_s("a") == 2.0
    assert health.latencies_s() == {"a": 2.0}
    assert health.latency_s("a", 0.95) is None
    answer(health, 1.0, latency_s=3.0, times=15)
    assert health.latency_s("a", 0.95) == 3.0


def test_a_snapshot_of_latencies_does_not_change_afterwards():
    health = one()
    answer(health, 1.0, latency_s=2.0, times=5)
    before = health.latencies_s()
    answer(health, 1.0, latency_s=9.0, times=20)
    assert before == {"a": 2.0}
    assert health.latencies_s() == {"a": 9.0}
    with pytest.raises(TypeError):
        before["a"] = 0.0  # type: ignore[index]


def test_a_model_has_the_latency_of_all_its_deployments():
    health = health_of([deployments("x", "y")])
    answer(health, 1.0, endpoint="a@x", latency_s=1.0, times=3)
    answer(health, 1.0, endpoint="a@y", latency_s=5.0, times=4)
    assert health.latency_s("a") == 5.0


def test_a_quantile_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="quantile"):
        one().latency_s("a", 1.5)


def test_failures_are_no_latencies_but_a_timeout_longer_than_usual_is():
    health = one(failures=100, min_calls=100)
    answer(health, 1.0, latency_s=2.0, times=5)
    for _ in range(20):
        health.failed("a", e.ServerFailed("a"), 2.0, latency_s=0.01)
        health.failed("a", e.Timeout("a"), 2.0, latency_s=0.5)
    assert health.latency_s("a") == 2.0
    for _ in range(6):
        health.failed("a", e.Timeout("a"), 2.0, latency_s=30.0)
    assert health.latency_s("a") == 30.0


@given(st.lists(st.tuples(st.floats(0, 2 * KEPT_S), st.floats(0, 1e6)), max_size=400))
def test_latencies_agree_with_a_plain_list_and_stay_bounded(calls):
    latencies = Latencies()
    plain: list[tuple[float, float]] = []
    now_s = 0.0
    for after_s, latency_s in calls:
        now_s += after_s / 20
        latencies.add(now_s, latency_s)
        plain = [(at_s, value) for at_s, value in [*plain, (now_s, latency_s)] if at_s >= now_s - KEPT_S][-KEPT:]
    values = [value for _, value in plain]
    assert latencies.quantile(0.5) == (median_low(values) if len(values) >= MIN_MEDIAN else None)
    lately = [value for at_s, value in plain if at_s > now_s - 60]
    assert latencies.median_after(now_s - 60) == (median_low(lately) if len(lately) >= MIN_MEDIAN else None)


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -1.0])
def test_what_is_no_length_of_time_is_ignored(nonsense):
    health = one()
    answer(health, 1.0, latency_s=nonsense, times=10)
    assert health.latency_s("a") is None
    assert admitted(health, 1.0).endpoint.id == "a"


def test_a_slow_model_comes_after_others_but_can_be_called():
    health = slowed()
    why = health.sidelined(10.0)["a"]
    assert (why.code, why.until_s) == ("slow", 70.0)
    assert "5.0 s" in why.detail
    assert health.admit("a", 10.0) is not None


def test_a_model_is_judged_slow_by_the_calls_within_the_window_alone():
    health = health_of([{"id": "a"}], slow_after_s=2.0, window_s=60.0)
    answer(health, 10.0, latency_s=5.0, times=4)
    answer(health, 80.0, latency_s=5.0, times=4)
    assert health.sidelined(80.0) == {}
    answer(health, 80.0, latency_s=5.0)
    assert health.sidelined(80.0)["a"].code == "slow"


def test_after_a_window_one_call_finds_out_whether_a_slow_model_has_recovered():
    health = slowed()
    assert health.sidelined(69.9)["a"].code == "slow"
    assert health.sidelined(70.0) == {}
    assert admitted(health, 70.0).probe
    assert health.sidelined(70.0)["a"].code == "slow"
    answer(health, 71.0, latency_s=1.0)
    assert health.sidelined(71.0) == {}


def test_a_model_that_has_recovered_is_judged_by_the_calls_since():
    health = slowed()
    answer(health, 40.0, latency_s=5.0, times=4)
    admitted(health, 70.0)
    answer(health, 71.0, latency_s=1.0)
    answer(health, 72.0, latency_s=1.0)
    assert health.sidelined(72.0) == {}


def test_a_call_that_began_before_the_model_was_found_slow_is_not_its_probe():
    health = slowed()
    admitted(health, 70.0)
    health.succeeded("a", 75.0, latency_s=70.0)
    assert health.sidelined(75.0)["a"].until_s == 130.0


def test_a_slow_probe_keeps_the_model_behind_for_another_window():
    health = slowed()
    admitted(health, 70.0)
    answer(health, 75.0, latency_s=5.0)
    assert health.sidelined(75.0)["a"].until_s == 135.0


def test_a_probe_for_slowness_that_gives_no_verdict_gives_its_slot_back():
    health = slowed()
    admitted(health, 70.0)
    health.released("a", 71.0)
    assert health.sidelined(71.0) == {}
    admitted(health, 71.0)
    fail(health, e.ServerFailed("a"), 72.0)
    assert health.sidelined(72.0) == {}
    admitted(health, 72.0)
    health.failed("a", e.Timeout("a"), 80.0, latency_s=8.0)
    assert health.sidelined(80.0)["a"].code == "slow"


def test_a_slow_model_that_is_used_all_the_same_and_becomes_quick_is_taken_back():
    health = slowed()
    answer(health, 20.0, latency_s=0.5, times=5)
    assert health.sidelined(20.0) == {}


def test_a_slow_deployment_comes_after_the_others():
    health = health_of([deployments("x", "y")], slow_after_s=2.0)
    answer(health, 10.0, endpoint="a@x", latency_s=5.0, times=5)
    assert health.sidelined(10.0) == {}
    assert {admitted(health, 10.0).endpoint.id for _ in range(30)} == {"a@y"}
    answer(health, 11.0, endpoint="a@y", latency_s=5.0, times=5)
    assert health.sidelined(11.0)["a"].code == "slow"
    assert health.sidelined(11.0)["a"].until_s == 70.0


def test_waking_takes_time_until_it_has_answered_and_again_when_nobody_called_for_long():
    health = health_of([{"id": "a", "warmup": {"cold_start_s": 20.0, "idle_s": 100.0}}, {"id": "b"}])
    assert health.cold_start_s("b", 0.0) == 0.0
    assert health.cold_start_s("a", 0.0) == 20.0
    admitted(health, 0.0)
    assert health.cold_start_s("a", 0.0) == 20.0  # the call that wakes it has to wait for it
    answer(health, 25.0, latency_s=25.0)
    assert health.cold_start_s("a", 124.0) == 0.0
    assert health.cold_start_s("a", 125.0) == 20.0
    fail(health, e.BadRequest("a"), 130.0)
    assert health.cold_start_s("a", 131.0) == 0.0
    fail(health, e.ConnectionFailed("a"), 230.0)
    assert health.cold_start_s("a", 231.0) == 20.0


def test_states_tell_people_what_is_known():
    health = health_of([{"id": "a", "quota_group": "key"}, {"id": "b"}], failures=2, open_s=10.0)
    for _ in range(5):
        health.succeeded("a", 1.0, latency_s=2.0, first_token_s=0.3)
    fail(health, e.ServerFailed("a"), 1.0)
    state, other = health.states(2.0)
    assert (state.id, state.breaker, state.code, state.calls) == ("a", "closed", None, 6)
    assert state.error_rate == pytest.approx(1 / 6)
    assert (state.latency_s, state.first_token_s) == (2.0, 0.3)
    assert (other.calls, other.error_rate, other.latency_s, other.first_token_s) == (0, None, None, None)
    fail(health, e.ServerFailed("a"), 3.0)
    assert health.states(4.0)[0].breaker == "open"
    assert health.states(4.0)[0].left_s == pytest.approx(9.0)
    assert health.states(13.0)[0].breaker == "half_open"
    assert health.states(13.0)[0].left_s == 0.0
    assert health.states(200.0)[0].calls == 0
