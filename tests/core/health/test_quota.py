"""Rate gates and quota groups."""

import pytest
from tests.core.health.pools import admitted, answer, fail, health_of, one

from taskrouter import errors as e

GROUPED = [
    {"id": "a", "quota_group": "key"},
    {"id": "b", "quota_group": "key"},
    {"id": "c"},
]


@pytest.mark.parametrize("cls", [e.RateLimited, e.Overloaded])
def test_a_provider_that_asks_for_a_pause_gets_it_at_once_and_is_not_at_fault(cls):
    health = one(failures=1, min_calls=1)
    fail(health, cls("a", retry_after_s=7.0), 1.0)
    assert health.admit("a", 7.9) is None
    assert health.sidelined(1.0)["a"].code == "rate_limited"
    assert health.sidelined(1.0)["a"].until_s == 8.0
    assert health.sidelined(8.0) == {}
    assert not admitted(health, 8.0).probe
    assert health.states(8.0)[0].breaker == "closed"
    assert health.states(8.0)[0].calls == 0


@pytest.mark.parametrize("pause_s", [1e9, float("inf")])
def test_a_pause_is_no_longer_than_the_longest_opening(pause_s):
    health = one(max_open_s=30.0)
    fail(health, e.RateLimited("a", retry_after_s=pause_s), 1.0)
    assert health.sidelined(1.0)["a"].until_s == 31.0


def test_the_reason_that_lasts_longest_is_told():
    health = one(failures=1, open_s=30.0)
    fail(health, e.ServerFailed("a"), 1.0)
    fail(health, e.RateLimited("a", retry_after_s=5.0), 1.0)
    assert (health.sidelined(1.0)["a"].code, health.sidelined(1.0)["a"].until_s) == ("breaker_open", 31.0)


def test_a_shorter_pause_does_not_shorten_a_longer_one():
    health = one()
    fail(health, e.RateLimited("a", retry_after_s=20.0), 1.0)
    fail(health, e.RateLimited("a", retry_after_s=1.0), 2.0)
    assert health.sidelined(2.0)["a"].until_s == 21.0


def test_a_success_that_was_in_flight_does_not_open_the_gate_early():
    health = health_of(GROUPED)
    fail(health, e.RateLimited("a", retry_after_s=20.0), 10.0)
    answer(health, 11.0, latency_s=5.0)
    answer(health, 11.0, endpoint="b", latency_s=0.5)
    assert set(health.sidelined(11.0)) == {"a", "b"}


def test_a_rate_limit_of_one_is_one_of_its_whole_quota_group():
    health = health_of(GROUPED)
    fail(health, e.RateLimited("a", retry_after_s=20.0), 1.0)
    assert set(health.sidelined(1.0)) == {"a", "b"}
    assert "quota group 'key'" in health.sidelined(1.0)["b"].detail
    assert health.admit("b", 1.0) is None
    assert health.admit("c", 1.0) is not None


def test_an_overloaded_model_does_not_close_the_gate_of_its_group():
    health = health_of(GROUPED)
    fail(health, e.Overloaded("a", retry_after_s=20.0), 1.0)
    assert set(health.sidelined(1.0)) == {"a"}


def test_faults_of_one_model_do_not_open_the_breaker_of_its_group():
    health = health_of(GROUPED)
    fail(health, e.ServerFailed("a"), 1.0, times=50)
    assert set(health.sidelined(1.0)) == {"a"}


def test_rate_limits_without_a_time_open_the_breaker_of_the_group():
    health = health_of(GROUPED, failures=4)
    fail(health, e.RateLimited("a"), 1.0, times=2)
    fail(health, e.RateLimited("b"), 1.0, times=2, endpoint="b")
    assert {model: why.code for model, why in health.sidelined(1.0).items()} == {
        "a": "breaker_open",
        "b": "breaker_open",
    }


@pytest.mark.parametrize("error", [e.Unauthenticated("a"), e.RateLimited("a", retryable=False)])
def test_a_refused_key_and_a_used_up_quota_mark_the_whole_group_down(error):
    health = health_of(GROUPED)
    fail(health, error, 1.0)
    assert {model: why.code for model, why in health.sidelined(1.0).items()} == {"a": "down", "b": "down"}


@pytest.mark.parametrize("error", [e.ModelNotFound("a"), e.Unauthenticated("a", status=403)])
def test_a_model_that_is_not_found_or_not_allowed_is_down_alone(error):
    health = health_of(GROUPED)
    fail(health, error, 1.0)
    assert set(health.sidelined(1.0)) == {"a"}


def test_a_group_is_probed_by_one_of_its_models_at_a_time():
    health = health_of(GROUPED, down_s=100.0)
    fail(health, e.Unauthenticated("a"), 0.0)
    assert admitted(health, 100.0, "b").probe
    assert health.admit("a", 100.0) is None
    assert health.sidelined(100.0)["a"].code == "probing"
    answer(health, 101.0, endpoint="b", latency_s=1.0)
    assert health.sidelined(101.0) == {}


def test_a_probe_of_a_group_that_fails_for_its_own_reason_gives_the_slot_back():
    health = health_of(GROUPED, down_s=100.0)
    fail(health, e.Unauthenticated("a"), 0.0)
    admitted(health, 100.0, "b")
    fail(health, e.ServerFailed("b"), 101.0, endpoint="b")
    assert admitted(health, 101.0, "a").probe


def test_an_endpoint_and_its_group_must_both_let_a_call_through():
    health = health_of(GROUPED, failures=1, open_s=10.0)
    fail(health, e.ServerFailed("a"), 0.0)
    fail(health, e.RateLimited("b", retry_after_s=30.0), 0.0, endpoint="b")
    assert health.admit("a", 20.0) is None
    assert health.sidelined(20.0)["a"].until_s == 30.0
    assert admitted(health, 30.0).probe
    assert not admitted(health, 30.0, "b").probe


def test_a_step_that_is_too_large_for_a_quota_says_nothing_of_other_steps():
    health = health_of(GROUPED)
    error = e.RateLimited("a", retryable=False, status=429)
    error.of_the_step = True
    fail(health, error, 1.0, times=20)
    assert health.sidelined(1.0) == {}
