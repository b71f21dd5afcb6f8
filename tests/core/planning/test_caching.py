"""A prompt that a provider has cached is cheaper there, and every policy sees it in the costs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.planning.pools import POLICIES, card, chosen, decided, plan, pools, profile, profiles

from taskrouter.ports import Choice, Slate

LARGE = card("large", 3.0, 0.9, cached_input_usd_per_million=0.3)
"""10,000 tokens in and 100 out: $0.0312, with 9,000 cached $0.0069."""


def row(planned, model, task=None):
    return next(r for r in decided(planned, task=task).ranking if r.model == model)


def test_the_model_that_served_is_not_left_for_one_that_must_read_everything_again() -> None:
    cards = [card("medium", 1.0, 0.9), LARGE]
    assert chosen(plan(cards, "economy")) == "medium"
    planned = plan(cards, "economy", cached_tokens={"large": 9_000})
    assert chosen(planned) == "large"
    assert planned.choice.reason == "incumbent_no_cheaper"
    assert planned.choice.detail.endswith(
        "; large is expected to read 9,000 tokens from its prompt cache, which saves $0.024300 of $0.031200; "
        "without that it would be medium"
    )


def test_a_cache_that_changes_no_choice_adds_no_words() -> None:
    cards = [card("small", 0.1, 0.9), LARGE]
    cold, warm = plan(cards, "economy"), plan(cards, "economy", cached_tokens={"large": 2_000})
    assert (chosen(warm), warm.choice.reason) == (chosen(cold), cold.choice.reason)
    assert "cache" not in warm.choice.detail


def test_a_row_shows_what_its_cache_saves_and_does_to_its_score() -> None:
    cards = [card("small", 1.0, 0.9, cached_input_usd_per_million=0.1), LARGE]
    cold, warm = plan(cards, "economy"), plan(cards, "economy", cached_tokens={"small": 9_000})
    small = row(warm, "small")
    assert small.cost_usd == pytest.approx(0.0023)
    assert small.cached_tokens == 9_000
    gained = small.score - row(cold, "small").score
    assert [tuple(part) for part in small.parts] == [
        ("prompt_cache", pytest.approx(0.0081), 1.0, pytest.approx(gained))
    ]
    assert row(warm, "large").parts == ()
    said = decided(warm)
    assert (
        "$0.002300 with 9,000 tokens cached, latency unknown, prompt_cache +0.260 (saves $0.008100)" in said.explain()
    )
    assert json.loads(json.dumps(said.to_dict()))["ranking"][0]["cached_tokens"] == 9_000


def test_no_more_is_cached_than_the_prompt_has() -> None:
    planned = plan([LARGE], cached_tokens={"large": 50_000})
    assert row(planned, "large").cached_tokens == 10_000
    assert row(planned, "large").cost_usd == pytest.approx(0.0042)


@pytest.mark.parametrize("fields", [{}, {"cached_input_usd_per_million": 5.0}])
def test_without_a_lower_price_for_cached_input_a_cache_saves_nothing(fields) -> None:
    planned = plan([card("a", 3.0, 0.9, **fields)], cached_tokens={"a": 9_000})
    assert (row(planned, "a").cached_tokens, row(planned, "a").parts) == (0, ())


class Counting:
    """A plugin's policy that takes the cheapest model and counts how often it is asked."""

    name = "counting"

    def __init__(self) -> None:
        self.asked = 0

    def choose(self, slate: Slate) -> Choice:
        self.asked += 1
        return Choice([-(cost or 0.0) for cost in slate.costs], "cheapest", "it is the cheapest", propensity=0.5)


def test_a_policy_of_a_plugin_is_asked_once_and_the_effect_on_its_score_stays_unknown() -> None:
    selector = Counting()
    planned = plan([card("medium", 1.0), LARGE], selector, cached_tokens={"large": 9_000})
    assert (chosen(planned), selector.asked, planned.choice.propensity) == ("large", 1, 0.5)
    assert [tuple(part) for part in row(planned, "large").parts] == [("prompt_cache", pytest.approx(0.0243), 1.0, None)]
    assert "prompt_cache unknown (saves $0.024300)" in decided(planned).explain()


@given(pools(), st.sampled_from(POLICIES), profiles(), st.data())
def test_the_model_that_served_never_scores_worse_for_its_cache(cards, name, task, data) -> None:
    served = data.draw(st.sampled_from([c.id for c in cards]))
    tokens = {served: data.draw(st.integers(0, 60_000))}
    cold = row(plan(cards, name, task=task), served, task)
    warm = row(plan(cards, name, task=task, cached_tokens=tokens), served, task)
    assert warm.score >= cold.score - 1e-9
    assert (warm.cost_usd or 0.0) <= (cold.cost_usd or 0.0)


@given(pools(), profiles(), st.data())
def test_the_parts_of_a_weighted_score_add_up_to_it_with_any_condition(cards, task, data) -> None:
    ids = st.sampled_from([c.id for c in cards])
    planned = plan(
        cards,
        "weighted",
        task=task,
        cached_tokens=data.draw(st.dictionaries(ids, st.integers(0, 60_000))),
        latency_s=data.draw(st.dictionaries(ids, st.floats(0, 100))),
        cost_weight=data.draw(st.floats(0, 10)),
        latency_weight=data.draw(st.floats(0, 10)),
    )
    for line in decided(planned, task=task).ranking:
        if any(part.name == "quality" for part in line.parts):
            assert sum(part.contribution or 0.0 for part in line.parts) == pytest.approx(line.score, abs=1e-9)
        assert (line.cached_tokens > 0) == any(part.name == "prompt_cache" for part in line.parts)


def test_a_slate_offers_every_policy_the_price_with_the_cache() -> None:
    seen: list[Slate] = []

    class Looking(Counting):
        def choose(self, slate: Slate) -> Choice:
            seen.append(slate)
            return super().choose(slate)

    plan([card("medium", 1.0), LARGE], Looking(), task=profile(), cached_tokens={"large": 9_000})
    assert seen[0].costs == pytest.approx([0.0104, 0.0069])
