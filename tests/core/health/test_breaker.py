"""When breakers open, for how long, and what closes them."""

import pytest
from tests.core.health.pools import ALIVE, DOWN, FAULTS, admitted, answer, fail, health_of, one, opened

from taskrouter import errors as e
from taskrouter.health.breaker import PROBE_S


def kind(error: e.ModelCallError) -> str:
    return error.kind


@pytest.mark.parametrize("error", FAULTS, ids=kind)
def test_faults_in_a_row_open_the_breaker(error):
    health = one(failures=3, min_calls=100, open_s=10.0)
    fail(health, error, 1.0, times=2)
    assert health.admit("a", 1.0) is not None
    fail(health, error, 1.0)
    assert health.admit("a", 1.0) is None
    assert health.sidelined(1.0)["a"].code == "breaker_open"
    assert health.sidelined(1.0)["a"].until_s == pytest.approx(11.0)
    assert "3 failures in a row" in health.sidelined(1.0)["a"].detail


def test_a_success_between_faults_begins_the_row_anew():
    health = one(failures=3, min_calls=100)
    for now_s in range(10):
        fail(health, e.ServerFailed("a"), now_s, times=2)
        answer(health, now_s)
    assert health.admit("a", 10.0) is not None


def test_the_share_of_faults_within_the_window_opens_it_from_enough_calls_on():
    health = one(failures=100, error_rate=0.5, min_calls=10)
    answer(health, 1.0, times=4)
    fail(health, e.Timeout("a"), 1.0, times=5)
    assert health.sidelined(1.0) == {}
    fail(health, e.Timeout("a"), 1.0)
    assert "6 of 10 calls within 60 s failed" in health.sidelined(1.0)["a"].detail


def test_faults_that_have_left_the_window_do_not_count():
    health = one(failures=100, error_rate=0.5, min_calls=10, window_s=60.0)
    fail(health, e.Timeout("a"), 1.0, times=9)
    fail(health, e.Timeout("a"), 70.0, times=9)
    assert health.sidelined(70.0) == {}
    fail(health, e.Timeout("a"), 70.0)
    assert health.sidelined(70.0)["a"].code == "breaker_open"


def test_when_its_time_is_over_one_call_at_a_time_is_let_through_as_a_probe():
    health = opened()
    assert health.admit("a", 9.9) is None
    assert health.sidelined(9.9)["a"].code == "breaker_open"
    assert health.sidelined(10.0) == {}
    assert admitted(health, 10.0).probe
    assert health.admit("a", 10.0) is None
    assert health.sidelined(10.0)["a"].code == "probing"


def test_a_good_probe_closes_the_breaker_and_the_count_begins_anew():
    health = opened()
    admitted(health, 10.0)
    answer(health, 11.0, latency_s=1.0)
    assert health.sidelined(11.0) == {}
    assert not admitted(health, 11.0).probe
    fail(health, e.ServerFailed("a"), 11.0, times=2)
    assert health.sidelined(11.0) == {}


def test_every_failed_probe_doubles_the_time_up_to_the_longest_and_a_good_one_resets_it():
    health, now_s, lengths = opened(), 0.0, []
    for _ in range(4):
        now_s = health.sidelined(now_s)["a"].until_s
        assert admitted(health, now_s).probe
        fail(health, e.Timeout("a"), now_s)
        lengths.append(health.sidelined(now_s)["a"].until_s - now_s)
    assert lengths == pytest.approx([20.0, 35.0, 35.0, 35.0])
    now_s += 35.0
    admitted(health, now_s)
    answer(health, now_s)
    fail(health, e.Timeout("a"), now_s, times=3)
    assert health.sidelined(now_s)["a"].until_s == pytest.approx(now_s + 10.0)


def test_a_probe_that_never_reports_does_not_keep_its_slot():
    health = opened()
    admitted(health, 10.0)
    assert health.admit("a", 10.0 + PROBE_S - 0.1) is None
    assert health.sidelined(10.0 + PROBE_S - 0.1)["a"].until_s == 10.0 + PROBE_S
    assert health.sidelined(10.0 + PROBE_S) == {}
    assert admitted(health, 10.0 + PROBE_S).probe


def test_a_probe_that_was_cancelled_gives_its_slot_back():
    health = opened()
    admitted(health, 10.0)
    health.released("a", 12.0)
    assert health.sidelined(12.0) == {}
    assert admitted(health, 12.0).probe


def test_a_cancelled_call_that_was_no_probe_leaves_the_slot_alone():
    health = opened()
    admitted(health, 10.0)
    health.released("a", 12.0, probe=False)
    assert health.admit("a", 12.0) is None


def test_a_probe_that_was_taken_for_lost_and_is_cancelled_then_leaves_the_slot_of_the_next_one_alone():
    health = opened()
    admitted(health, 10.0)
    assert admitted(health, 10.0 + PROBE_S).probe
    health.released("a", 11.0 + PROBE_S, latency_s=1.0 + PROBE_S)
    assert health.admit("a", 11.0 + PROBE_S) is None


@pytest.mark.parametrize("error", [e.LocalFailure("a"), e.RateLimited("a", retry_after_s=0.1)], ids=kind)
def test_a_forced_call_without_a_verdict_leaves_the_slot_of_the_probe_alone(error):
    health = opened()
    admitted(health, 10.0)
    assert health.least_bad(["a"], 11.0) is not None
    health.failed("a", error, 12.0, latency_s=1.0, probe=False)
    assert health.admit("a", 13.0) is None


def test_a_local_failure_of_a_probe_says_nothing_and_gives_the_slot_back():
    health = opened()
    admitted(health, 10.0)
    fail(health, e.LocalFailure("a"), 11.0)
    assert admitted(health, 11.0).probe


def test_local_failures_never_open_a_breaker():
    health = one(failures=1, min_calls=1)
    fail(health, e.LocalFailure("a"), 1.0, times=50)
    assert health.sidelined(1.0) == {}


@pytest.mark.parametrize("error", ALIVE, ids=kind)
def test_what_shows_that_the_provider_answers_is_no_fault_and_no_success(error):
    health = one(failures=3, min_calls=100)
    fail(health, error, 1.0, times=50)
    assert health.sidelined(1.0) == {}
    assert health.states(1.0)[0].calls == 0
    fail(health, e.ServerFailed("a"), 1.0, times=2)
    fail(health, error, 1.0)  # the row of faults goes on
    fail(health, e.ServerFailed("a"), 1.0)
    assert health.admit("a", 1.0) is None


@pytest.mark.parametrize("error", ALIVE, ids=kind)
def test_what_shows_that_the_provider_answers_closes_a_half_open_breaker(error):
    health = opened()
    admitted(health, 10.0)
    fail(health, error, 11.0)
    assert health.sidelined(11.0) == {}
    assert not admitted(health, 11.0).probe


@pytest.mark.parametrize("error", DOWN, ids=kind)
def test_what_only_people_can_mend_marks_down_at_once(error):
    health = one(down_s=120.0)
    fail(health, error, 1.0)
    assert health.admit("a", 120.9) is None
    assert health.sidelined(1.0)["a"].code == "down"
    assert error.kind in health.sidelined(1.0)["a"].detail
    assert admitted(health, 121.0).probe
    fail(health, error, 122.0)
    assert health.sidelined(122.0)["a"].until_s == pytest.approx(242.0)


def test_a_probe_after_being_down_that_fails_otherwise_opens_for_the_shortest_time():
    health = one(down_s=120.0, open_s=10.0)
    fail(health, e.Unauthenticated("a"), 0.0)
    admitted(health, 120.0)
    fail(health, e.Timeout("a"), 121.0)
    assert health.sidelined(121.0)["a"] == health.sidelined(121.0)["a"]._replace(code="breaker_open", until_s=131.0)


def test_calls_that_began_before_the_breaker_opened_do_not_close_it():
    health = opened(now_s=5.0)
    health.succeeded("a", 6.0, latency_s=3.0)
    health.failed("a", e.BadRequest("a"), 6.0, latency_s=3.0)
    assert health.admit("a", 6.0) is None
    admitted(health, 15.0)
    health.succeeded("a", 16.0, latency_s=14.0)
    assert health.sidelined(16.0)["a"].code == "probing"


def test_calls_that_began_before_the_breaker_opened_do_not_keep_it_open():
    health = opened(now_s=5.0)
    admitted(health, 15.0)
    health.failed("a", e.Timeout("a"), 16.0, latency_s=14.0)
    assert health.sidelined(16.0)["a"].code == "probing"
    answer(health, 17.0, latency_s=2.0)
    for _ in range(20):
        health.failed("a", e.Timeout("a"), 18.0, latency_s=16.0)
    assert health.sidelined(18.0) == {}


def test_a_forced_call_that_is_answered_closes_the_breaker():
    health = opened()
    assert health.least_bad(["a"], 2.0) is not None
    answer(health, 3.0, latency_s=1.0)
    assert health.sidelined(3.0) == {}


def test_a_forced_call_that_fails_does_not_lengthen_the_time():
    health = opened()
    assert health.least_bad(["a"], 2.0) is not None
    health.failed("a", e.ServerFailed("a"), 3.0, latency_s=1.0)
    assert health.sidelined(3.0)["a"].until_s == pytest.approx(10.0)


def test_a_forced_call_that_fails_after_the_time_is_over_is_no_failed_probe():
    health = opened()
    assert health.least_bad(["a"], 2.0) is not None
    health.failed("a", e.Timeout("a"), 11.0, latency_s=9.0, probe=False)
    assert health.sidelined(11.0) == {}
    assert admitted(health, 11.0).probe


def test_a_disabled_health_admits_everything_and_still_observes():
    health = health_of([{"id": "a"}], enabled=False, failures=1, slow_after_s=0.1)
    for error in [*FAULTS, *DOWN, e.RateLimited("a", retry_after_s=60.0)]:
        fail(health, error, 1.0)
        assert admitted(health, 1.0).probe is False
        assert health.sidelined(1.0) == {}
    answer(health, 2.0, latency_s=5.0, times=5)
    assert health.latency_s("a") == 5.0
    assert health.sidelined(2.0) == {}
    assert health.changes(2.0, 2.0) == {}
