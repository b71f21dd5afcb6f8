"""Endpoints, the balance between them, and the least bad."""

from collections import Counter

import pytest
from tests.core.health.pools import admitted, answer, deployments, fail, health_of, opened

from taskrouter import errors as e
from taskrouter.config import ModelConfig
from taskrouter.errors import ConfigurationError
from taskrouter.health import Endpoint, Health, endpoints_of


def drawn(health: Health, calls: int, now_s: float = 0.0, **how) -> Counter[str]:
    """Endpoints of calls that end at once, without a verdict."""
    seen: Counter[str] = Counter()
    for _ in range(calls):
        endpoint = admitted(health, now_s, **how).endpoint.id
        health.released(endpoint, now_s)
        seen[endpoint] += 1
    return seen


def test_a_model_without_deployments_is_its_own_endpoint():
    model = ModelConfig.model_validate(
        {"id": "a", "quota_group": "key", "regions": ["eu"], "warmup": {"cold_start_s": 9.0}}
    )
    assert endpoints_of([model]) == (
        Endpoint(id="a", model="a", quota_group="key", regions=frozenset({"eu"}), warmup=model.warmup),
    )


def test_each_deployment_is_an_endpoint_with_what_it_says_over_what_the_model_says():
    model = ModelConfig.model_validate(
        {
            "id": "a",
            "quota_group": "key",
            "regions": ["us"],
            "deployments": [{"name": "x"}, {"name": "y", "quota_group": "other", "region": "eu", "weight": 3.0}],
        }
    )
    assert endpoints_of([model]) == (
        Endpoint(id="a@x", model="a", deployment="x", quota_group="key", regions=frozenset({"us"})),
        Endpoint(id="a@y", model="a", deployment="y", quota_group="other", regions=frozenset({"eu"}), weight=3.0),
    )


def test_two_endpoints_of_one_name_are_refused():
    models = [ModelConfig(id="a@x"), ModelConfig.model_validate(deployments("x"))]
    with pytest.raises(ConfigurationError, match="'a@x'"):
        endpoints_of(models)


def test_an_unknown_way_to_balance_is_refused():
    with pytest.raises(ValueError, match="'fastest'"):
        health_of([{"id": "a"}], balance="fastest")


def test_what_was_tried_is_not_chosen_again():
    health = health_of([deployments("x", "y")])
    assert admitted(health, 0.0, tried={"a@x"}).endpoint.id == "a@y"
    assert health.admit("a", 0.0, tried={"a@x", "a@y"}) is None


def test_only_endpoints_in_the_regions_are_chosen_and_unknown_regions_do_not_count():
    health = health_of(
        [{"id": "a", "deployments": [{"name": "x", "region": "eu"}, {"name": "y", "region": "us"}, {"name": "z"}]}]
    )
    assert set(drawn(health, 50, regions=frozenset({"eu", "ap"}))) == {"a@x"}
    assert health.admit("a", 0.0, regions=frozenset({"ap"})) is None
    assert health.least_bad(["a"], 0.0, regions=frozenset({"ap"})) is None


def test_a_model_is_sidelined_only_when_no_deployment_of_it_can_be_called():
    health = health_of([deployments("x", "y")], failures=1, open_s=10.0)
    fail(health, e.ServerFailed("a"), 1.0, endpoint="a@x")
    assert health.sidelined(1.0) == {}
    assert set(drawn(health, 20, now_s=1.0)) == {"a@y"}
    fail(health, e.ServerFailed("a"), 2.0, endpoint="a@y")
    why = health.sidelined(2.0)["a"]
    assert why.until_s == pytest.approx(11.0)
    assert "'a@x'" in why.detail


def test_weighted_balance_follows_the_weights():
    health = health_of([{"id": "a", "deployments": [{"name": "x", "weight": 3.0}, {"name": "y", "weight": 1.0}]}])
    assert 0.7 < drawn(health, 2000)["a@x"] / 2000 < 0.8


def test_the_preferred_region_comes_first_and_others_only_when_it_cannot_be_called():
    pool = [{"id": "a", "deployments": [{"name": "x", "region": "eu"}, {"name": "y", "region": "us", "weight": 50.0}]}]
    health = health_of(pool, region="eu", failures=1)
    assert set(drawn(health, 50)) == {"a@x"}
    fail(health, e.ServerFailed("a"), 1.0, endpoint="a@x")
    assert set(drawn(health, 50, now_s=1.0)) == {"a@y"}


def test_least_latency_prefers_the_quicker_endpoint():
    health = health_of([deployments("x", "y")], balance="least_latency")
    answer(health, 1.0, endpoint="a@x", latency_s=3.0)
    answer(health, 1.0, endpoint="a@y", latency_s=1.0)
    assert set(drawn(health, 50, now_s=1.0)) == {"a@y"}


def test_least_latency_weighs_the_calls_under_way():
    health = health_of([deployments("x", "y")], balance="least_latency")
    answer(health, 1.0, endpoint="a@x", latency_s=3.0)
    answer(health, 1.0, endpoint="a@y", latency_s=1.0)
    taken = Counter(admitted(health, 1.0).endpoint.id for _ in range(40))
    assert taken == {"a@x": 10, "a@y": 30}


def test_least_latency_tries_unknown_endpoints_first_one_call_at_a_time():
    health = health_of([deployments("x", "y")], balance="least_latency")
    answer(health, 1.0, endpoint="a@x", latency_s=0.001)
    assert admitted(health, 1.0).endpoint.id == "a@y"
    taken = Counter(admitted(health, 1.0).endpoint.id for _ in range(10))
    assert taken["a@x"] >= 5


def test_least_latency_looks_again_at_an_endpoint_that_was_slow_long_ago():
    health = health_of([deployments("x", "y")], balance="least_latency", window_s=60.0)
    answer(health, 1.0, endpoint="a@x", latency_s=30.0)
    for now_s in range(1, 61):
        answer(health, now_s, endpoint="a@y", latency_s=1.0)
        assert set(drawn(health, 1, now_s=now_s)) == {"a@y"}
    assert admitted(health, 62.0).endpoint.id == "a@x"


def test_least_latency_probes_an_endpoint_that_may_have_recovered():
    health = health_of([deployments("x", "y")], balance="least_latency", failures=1, open_s=10.0)
    answer(health, 1.0, endpoint="a@x", latency_s=5.0)
    fail(health, e.ServerFailed("a"), 2.0, endpoint="a@x")
    answer(health, 12.0, endpoint="a@y", latency_s=0.1)
    probe = admitted(health, 12.0)
    assert (probe.endpoint.id, probe.probe) == ("a@x", True)


def test_least_latency_probes_an_endpoint_that_was_slow():
    health = health_of([deployments("x", "y")], balance="least_latency", slow_after_s=2.0, window_s=60.0)
    answer(health, 10.0, endpoint="a@x", latency_s=5.0, times=5)
    health.succeeded("a@x", 69.0, latency_s=5.0)
    answer(health, 70.0, endpoint="a@y", latency_s=0.1)
    probe = admitted(health, 70.0)
    assert (probe.endpoint.id, probe.probe) == ("a@x", True)


def test_the_least_bad_is_the_one_that_is_nearest_to_being_usable():
    health = health_of([{"id": "a"}, {"id": "b"}, {"id": "c"}], failures=1, open_s=100.0)
    fail(health, e.ServerFailed("a"), 1.0)
    fail(health, e.RateLimited("b", retry_after_s=20.0), 1.0, endpoint="b")
    fail(health, e.RateLimited("c", retry_after_s=50.0), 1.0, endpoint="c")
    chosen = health.least_bad(["a", "b", "c"], 1.0)
    assert chosen is not None
    assert (chosen.endpoint.id, chosen.forced, chosen.probe) == ("b", True, False)
    assert "20.0 s" in chosen.note


def test_what_is_down_is_the_least_bad_only_when_nothing_else_is_left():
    health = health_of([{"id": "a"}, {"id": "b"}], failures=1, down_s=5.0, open_s=300.0)
    fail(health, e.Unauthenticated("a"), 1.0)
    fail(health, e.ServerFailed("b"), 1.0, endpoint="b")
    first = health.least_bad(["a", "b"], 1.0)
    last = health.least_bad(["a", "b"], 1.0, tried={"b"})
    assert first is not None
    assert last is not None
    assert (first.endpoint.id, last.endpoint.id) == ("b", "a")
    assert health.least_bad(["a", "b"], 1.0, tried={"a", "b"}) is None


def test_the_least_bad_is_no_forced_call_if_one_has_become_usable():
    health = opened()
    chosen = health.least_bad(["a"], 10.0)
    assert chosen is not None
    assert (chosen.probe, chosen.forced) == (True, False)


def test_a_probe_under_way_is_nearer_to_being_usable_than_an_open_breaker():
    health = health_of([{"id": "a"}, {"id": "b"}], failures=1, open_s=10.0)
    fail(health, e.ServerFailed("a"), 0.0)
    fail(health, e.ServerFailed("b"), 9.0, endpoint="b")
    admitted(health, 10.0)
    chosen = health.least_bad(["b", "a"], 10.0)
    assert chosen is not None
    assert chosen.endpoint.id == "a"


def test_calls_under_way_are_counted_however_they_end():
    health = health_of([{"id": "a"}])
    for _ in range(4):
        admitted(health, 0.0)
    assert health.states(0.0)[0].in_flight == 4
    answer(health, 1.0)
    fail(health, e.ServerFailed("a"), 1.0)
    health.released("a", 1.0)
    assert health.states(1.0)[0].in_flight == 1
    answer(health, 1.0, times=3)
    assert health.states(1.0)[0].in_flight == 0
