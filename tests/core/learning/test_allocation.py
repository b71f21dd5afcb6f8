"""Joint allocation: the pooled target holds, the price is one for all, and nothing cheaper was passed by."""

from collections.abc import Mapping
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.learning import Option, Work, allocate, hull

THOUSANDTHS = st.integers(0, 1000).map(lambda n: n / 1000)
OPTIONS = st.fixed_dictionaries(
    {name: st.builds(Option, THOUSANDTHS, st.floats(0.01, 10)) for name in ("incumbent", "small", "medium")}
)
WORK = st.dictionaries(st.sampled_from("abcd"), st.builds(Work, st.integers(1, 50), OPTIONS), min_size=1)


def pooled(work: Mapping[str, Work], choices: Mapping[str, str]) -> tuple[float, float]:
    total = sum(entry.weight for entry in work.values())
    score = sum(entry.weight * entry.options[choices[key]].score for key, entry in work.items()) / total
    cost = sum(entry.weight * entry.options[choices[key]].cost_usd for key, entry in work.items()) / total
    return score, cost


def test_a_gain_on_one_identity_pays_for_a_loss_on_another():
    work = {
        "code": Work(1, {"large": Option(0.8, 10.0), "small": Option(0.9, 1.0)}),
        "chat": Work(1, {"large": Option(0.8, 10.0), "small": Option(0.75, 1.0)}),
    }
    allocation = allocate(work, incumbent="large", max_loss=0.0)
    assert allocation.choices == {"code": "small", "chat": "small"}
    assert allocation.expected_loss == pytest.approx(-0.025)
    assert allocation.expected_cost_usd == pytest.approx(1.0)
    assert allocation.usd_per_score == 0


def test_the_upgrade_with_the_most_score_per_dollar_is_bought_first():
    work = {
        "steep": Work(1, {"large": Option(0.9, 10.0), "small": Option(0.5, 1.0)}),
        "flat": Work(1, {"large": Option(0.9, 10.0), "small": Option(0.89, 1.0)}),
    }
    allocation = allocate(work, incumbent="large", max_loss=0.01)
    assert allocation.choices == {"steep": "large", "flat": "small"}
    assert allocation.usd_per_score == pytest.approx(9 / 0.4)


def test_work_counts_by_its_weight():
    options = {"large": Option(0.9, 10.0), "small": Option(0.8, 1.0)}
    work = {"rare": Work(1, options), "frequent": Work(99, {**options, "small": Option(0.9, 1.0)})}
    assert allocate(work, incumbent="large", max_loss=0.002).choices == {"rare": "small", "frequent": "small"}
    assert allocate(work, incumbent="large", max_loss=0.0005).choices["rare"] == "large"


def test_an_identity_that_was_not_seen_gets_the_fallback():
    work = {"seen": Work(1, {"large": Option(0.9, 2.0), "small": Option(0.9, 1.0)})}
    assert allocate(work, incumbent="large", max_loss=0).plan("new") == "large"
    assert allocate(work, incumbent="large", max_loss=0, fallback="small").plan("new") == "small"
    nothing: dict[str, Work] = {}
    assert allocate(nothing, incumbent="large", max_loss=0).plan("new") == "large"


def test_a_margin_that_nothing_reaches_gets_the_best_there_is():
    work = {"a": Work(1, {"large": Option(0.9, 2.0), "small": Option(0.95, 1.0), "slow": Option(0.97, 5.0)})}
    assert allocate(work, incumbent="large", max_loss=-0.5).choices == {"a": "slow"}


def test_the_incumbent_must_be_known_everywhere():
    with pytest.raises(ValueError, match="'a' has no estimate for the incumbent 'large'"):
        allocate({"a": Work(1, {"small": Option(1, 1)})}, incumbent="large", max_loss=0)


@given(WORK, st.floats(-0.2, 0.2))
def test_the_pooled_loss_stays_within_the_target_whenever_that_is_possible(work, max_loss):
    allocation = allocate(work, incumbent="incumbent", max_loss=max_loss)
    base, _ = pooled(work, dict.fromkeys(work, "incumbent"))
    best = sum(e.weight * max(o.score for o in e.options.values()) for e in work.values()) / sum(
        e.weight for e in work.values()
    )
    score, cost = pooled(work, allocation.choices)
    assert score >= min(base - max_loss, best) - 1e-9
    assert allocation.expected_loss == pytest.approx(base - score, abs=1e-9)
    assert allocation.expected_cost_usd == pytest.approx(cost)


@given(WORK, st.floats(0, 0.2))
def test_at_its_price_no_other_choice_is_better(work, max_loss):
    """The Lagrangian: with the multiplier as the price of a unit of score, every identity has its best model."""
    allocation = allocate(work, incumbent="incumbent", max_loss=max_loss)
    price = allocation.usd_per_score
    for key, entry in work.items():
        worth = {name: price * option.score - option.cost_usd for name, option in entry.options.items()}
        assert worth[allocation.choices[key]] >= max(worth.values()) - 1e-6 * (1 + price)


@given(WORK, st.floats(0, 0.2))
def test_no_allocation_of_at_least_the_same_score_is_cheaper(work, max_loss):
    allocation = allocate(work, incumbent="incumbent", max_loss=max_loss)
    score, cost = pooled(work, allocation.choices)
    keys = list(work)
    for names in product(("incumbent", "small", "medium"), repeat=len(keys)):
        other_score, other_cost = pooled(work, dict(zip(keys, names, strict=True)))
        if other_score >= score:
            assert other_cost >= cost - 1e-6 * (1 + allocation.usd_per_score)


@given(OPTIONS)
def test_the_hull_rises_in_cost_and_score_with_falling_returns(options):
    names = hull(options)
    points = [options[name] for name in names]
    gains = [(b.cost_usd - a.cost_usd, b.score - a.score) for a, b in pairwise(points)]
    assert all(cost > 0 and score > 0 for cost, score in gains)
    for (cost, score), (next_cost, next_score) in pairwise(gains):
        assert score * next_cost >= next_score * cost - 1e-12
    assert options[names[-1]].score == max(option.score for option in options.values())
    assert options[names[0]].cost_usd == min(option.cost_usd for option in options.values())


def test_a_mixed_allocation_meets_the_target_exactly_and_mixes_one_identity():
    options = {"large": Option(0.9, 10.0), "small": Option(0.8, 1.0)}
    allocation = allocate({"a": Work(1, options), "b": Work(1, options)}, incumbent="large", max_loss=0.03, mixed=True)
    assert allocation.expected_loss == pytest.approx(0.03)
    shares = {key: dict(allocation.shares(key)) for key in ("a", "b")}
    assert shares["a"] == {"large": 1.0}
    assert shares["b"] == {"small": pytest.approx(0.6), "large": pytest.approx(0.4)}
    assert allocation.plan("b") == "small"
    assert allocation.expected_cost_usd == pytest.approx(10 - 0.3 * 9)


@given(WORK, st.floats(-0.1, 0.2))
def test_mixing_never_costs_more_than_whole_choices(work: dict[str, Work], max_loss: float):
    whole = allocate(work, incumbent="incumbent", max_loss=max_loss)
    mixed = allocate(work, incumbent="incumbent", max_loss=max_loss, mixed=True)
    assert mixed.expected_cost_usd <= whole.expected_cost_usd + 1e-9
    for key in work:
        assert sum(share for _, share in mixed.shares(key)) == pytest.approx(1.0)
