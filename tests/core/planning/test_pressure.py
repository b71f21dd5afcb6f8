"""A short budget and a near deadline weigh on every score, and observed latency takes the place of the card's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.planning.pools import POLICIES, card, chosen, decided, plan, policy, pools, profiles

from taskrouter.planning import Planner
from taskrouter.ports import Conditions

CHEAP_AND_SLOW = card("small", 0.1, 0.7, first_token_s=4.0, output_tokens_per_s=20.0)
DEAR_AND_FAST = card("large", 10.0, 0.9, first_token_s=0.5, output_tokens_per_s=200.0)
POOL = [CHEAP_AND_SLOW, DEAR_AND_FAST]


def parts(planned, model):
    line = next(r for r in decided(planned).ranking if r.model == model)
    return {part.name: part for part in line.parts}


def test_a_short_budget_moves_a_step_to_a_cheaper_model_and_says_so() -> None:
    planned = plan(POOL, cost_weight=0.5)
    assert (chosen(planned), planned.fallbacks) == ("small", ("large",))
    assert planned.choice.reason == "budget_pressure"
    assert planned.choice.detail == (
        "money is short (weight 0.5): small costs $0.001040, large $0.104000; without that it would be large: "
        "policy `safe` keeps every step that no check covers with the incumbent"
    )
    assert parts(planned, "large")["budget"] == ("budget", pytest.approx(0.104), 0.5, -0.5)
    assert parts(planned, "small")["budget"].contribution == pytest.approx(-0.005)


def test_a_near_deadline_moves_a_step_to_a_faster_model_and_says_so() -> None:
    planned = plan(POOL, incumbent="small", latency_weight=1.0)
    assert chosen(planned) == "large"
    assert planned.choice.reason == "deadline_pressure"
    assert planned.choice.detail.startswith("time is short (weight 1): large takes 1.00 s, small 9.00 s; without that")
    assert parts(planned, "small")["deadline"] == ("deadline", 9.0, 1.0, -1.0)


def test_pressure_that_changes_no_choice_leaves_the_reason_and_shows_its_part() -> None:
    planned = plan(POOL, cost_weight=0.01)
    assert (chosen(planned), planned.choice.reason) == ("large", "incumbent")
    assert parts(planned, "large")["budget"].contribution == -0.01


def test_the_pressure_that_did_more_gives_its_name() -> None:
    cards = [
        card("small", 0.1, 0.7, first_token_s=0.5, output_tokens_per_s=200.0),
        card("slow", 10.0, 0.8, first_token_s=4.0, output_tokens_per_s=20.0),
        card("large", 10.0, 0.9),
    ]
    both = plan(cards, cost_weight=0.2, latency_weight=2.0).choice
    assert both.reason == "deadline_pressure"
    assert "time is short (weight 2): small takes 1.00 s, large an unknown time, and money is short" in both.detail
    assert plan(cards, cost_weight=2.0, latency_weight=0.2).choice.reason == "budget_pressure"


def test_an_unknown_price_counts_as_the_dearest_under_a_budget() -> None:
    cards = [card("mystery", None, 0.9), card("small", 0.1, 0.9), card("large", 10.0, 0.9)]
    planned = plan(cards, cost_weight=1.0)
    assert parts(planned, "mystery")["budget"] == ("budget", None, 1.0, -1.0)
    assert chosen(planned) == "small"


def test_a_budget_without_end_takes_the_cheapest_model() -> None:
    cards = [card("free", 0.0, 0.1), card("small", 0.1, 0.9), card("large", 10.0, 0.9)]
    assert chosen(plan(cards, cost_weight=math.inf)) == "free"


def test_observed_latency_takes_the_place_of_the_cards_everywhere() -> None:
    fast = policy("weighted", weights={"latency": 1.0})
    assert chosen(plan(POOL, fast)) == "large"
    planned = plan(POOL, fast, latency_s={"large": 30.0})
    assert chosen(planned) == "small"
    shown = {line.model: line.latency_s for line in decided(planned).ranking}
    assert shown == {"small": 9.0, "large": 30.0}
    assert parts(plan(POOL, latency_s={"large": 30.0}, latency_weight=0.1), "large")["deadline"].value == 30.0
    assert "30.00 s" in decided(planned).explain()


def test_a_decision_keeps_the_latency_it_was_made_with() -> None:
    observed = {"large": 30.0}
    planned = plan(POOL, latency_s=observed)
    observed["large"] = 1.0
    assert decided(planned).ranking[0].latency_s == 30.0


def test_a_decision_shows_the_regions_that_its_step_may_be_served_in() -> None:
    decision = decided(plan(POOL), regions=frozenset({"us", "eu"}))
    assert "\nregions   only eu, us\n" in decision.explain()
    assert decision.to_dict()["regions"] == ["eu", "us"]
    assert decided(plan(POOL)).to_dict()["regions"] is None


@given(pools(), st.sampled_from(POLICIES), profiles(), st.floats(0, math.inf), st.floats(0, math.inf))
def test_pressure_ranks_by_what_is_left_of_each_score(cards, name, task, cost_weight, latency_weight) -> None:
    everyone = tuple(range(len(cards)))
    planner = Planner(cards, incumbent=0)
    plain = planner.plan(task, everyone, policy(name))
    conditions = Conditions(cost_weight=cost_weight, latency_weight=latency_weight)
    planned = planner.plan(task, everyone, policy(name), conditions)
    scores = planned.choice.scores
    assert not any(math.isnan(score) for score in scores)
    assert all(now <= before for now, before in zip(scores, plain.choice.scores, strict=True))
    assert chosen(planned) == cards[max(everyone, key=scores.__getitem__)].id
    pressed = planned.choice.reason in {"budget_pressure", "deadline_pressure"}
    assert pressed == (chosen(planned) != chosen(plain))
    assert sorted([chosen(planned), *planned.fallbacks]) == sorted(c.id for c in cards)


@given(pools(least=2), profiles(), st.floats(0, 10), st.floats(0, 10))
def test_a_shorter_budget_never_takes_a_dearer_model(cards, task, some, more) -> None:
    low, high = sorted((some, more))
    costs = {line.model: line.cost_usd for line in decided(plan(cards, task=task), task=task).ranking}
    worst = max((cost for cost in costs.values() if cost is not None), default=0.0)

    def cost(weight: float) -> float:
        known = costs[chosen(plan(cards, "economy", task=task, cost_weight=weight))]
        return worst if known is None else known

    assert cost(high) <= cost(low) + 1e-12
