"""From labels to a policy: it saves where that was shown, and nowhere else."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrouter import ConfigurationError
from taskrouter.decision import Plan
from taskrouter.learning import Identity, Labelled, LearnedPolicy, Scored, fit

PLANS = {name: Plan(models=(name,)) for name in ("big", "small")}
COSTS = {"big": 10.0, "small": 1.0}


def rows(rng: random.Random, key: str, chances: Mapping[str, float], count: int, task: str = "chat") -> list[Labelled]:
    return [
        Labelled(
            identity=Identity(key, task),
            scores={name: Scored(float(rng.random() < chance), COSTS[name]) for name, chance in chances.items()},
        )
        for _ in range(count)
    ]


def plans_of(policy: LearnedPolicy | None, key: str) -> dict[str, float]:
    assert policy is not None
    return {str(branch.plan): branch.share for branch in policy.branches.get(key, ())}


def test_the_cheap_model_serves_where_it_is_as_good_and_the_incumbent_where_it_is_not():
    rng = random.Random(2)
    labels = rows(rng, "easy", {"big": 0.9, "small": 0.92}, 200)
    labels += rows(rng, "hard", {"big": 0.9, "small": 0.3}, 200, "reasoning")
    policy = fit(labels, PLANS, "big")
    assert plans_of(policy, "easy") == {"small": 1.0}
    assert plans_of(policy, "hard").get("big", 0.0) > 0.9
    assert policy is not None
    assert policy.reckoning.steps == 400
    assert 0.3 < policy.reckoning.saving < 0.6
    loss = policy.branches["easy"][0].loss
    assert loss.low < loss.mean < loss.high
    assert loss.source == "200 labelled steps of its kind"


def test_nothing_is_learned_where_every_cheaper_model_loses():
    assert fit(rows(random.Random(3), "a", {"big": 0.9, "small": 0.4}, 100), PLANS, "big") is None


def test_an_identity_with_too_few_labels_has_no_choice_of_its_own():
    rng = random.Random(4)
    labels = rows(rng, "known", {"big": 0.9, "small": 0.95}, 100) + rows(rng, "new", {"big": 1.0, "small": 1.0}, 4)
    policy = fit(labels, PLANS, "big")
    assert plans_of(policy, "known") == {"small": 1.0}
    assert plans_of(policy, "new") == {}


def alone(name: str, right: int, count: int) -> list[Labelled]:
    """Labels of one plan, as a running agent has them: `right` out of ten."""
    identity = Identity("a", "chat")
    return [
        Labelled(identity=identity, scores={name: Scored(float(i % 10 < right), COSTS[name])}) for i in range(count)
    ]


def test_labels_of_one_plan_at_a_time_teach_too_and_ask_for_more():
    few, many = (alone("big", 7, count) + alone("small", 8, count) for count in (10, 1000))
    assert plans_of(fit(few, PLANS, "big"), "a") == {"big": 1.0}
    assert plans_of(fit(many, PLANS, "big"), "a") == {"small": 1.0}


def test_without_any_label_of_the_incumbent_there_is_nothing_to_compare_with():
    assert fit(rows(random.Random(6), "a", {"small": 1.0}, 100), PLANS, "big") is None


def test_the_same_labels_and_seed_teach_the_same():
    labels = rows(random.Random(7), "a", {"big": 0.8, "small": 0.85}, 300)
    first, second = (fit(labels, PLANS, "big", seed=1) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.to_dict() == second.to_dict()
    assert first.version == second.version


def test_a_policy_survives_being_written_and_read():
    rng = random.Random(8)
    labels = rows(rng, "easy", {"big": 0.9, "small": 0.95}, 200) + rows(rng, "other", {"big": 0.9, "small": 0.94}, 200)
    policy = fit(labels, PLANS, "big")
    assert policy is not None
    again = LearnedPolicy.from_dict(policy.to_dict())
    assert again.to_dict() == policy.to_dict()
    assert [again.choose("easy", d / 10) for d in range(10)] == [policy.choose("easy", d / 10) for d in range(10)]


def test_a_damaged_policy_is_refused_with_the_key_that_is_wrong():
    with pytest.raises(ConfigurationError, match=r"policy.json: 'schema'"):
        LearnedPolicy.from_dict({"schema": 7, "incumbent": "big", "identities": {}}, where="policy.json")


def test_the_shares_of_a_divided_identity_are_met_by_its_draws():
    policy = fit(rows(random.Random(9), "a", {"big": 0.8, "small": 0.77}, 600), PLANS, "big", max_loss=0.5)
    assert policy is not None
    shares = {str(branch.plan): branch.share for branch in policy.branches["a"]}
    draws = [policy.choose("a", (i + 0.5) / 1000) for i in range(1000)]
    for name, share in shares.items():
        drawn = [chosen for chosen in draws if chosen is not None and str(chosen.plan) == name]
        assert len(drawn) / 1000 == pytest.approx(share, abs=0.01)
        assert all(chosen.propensity == share for chosen in drawn)
    assert policy.choose("never seen", 0.5) is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 1.0), st.floats(0.3, 1.0), st.integers(1, 60))
def test_no_policy_promises_more_loss_than_it_may(seed: int, big: float, small: float, count: int):
    policy = fit(rows(random.Random(seed), "a", {"big": big, "small": small}, count), PLANS, "big", max_loss=0.02)
    if policy is not None and count >= 25:
        assert policy.reckoning.loss + policy.reckoning.loss_error <= 0.02
        assert sum(branch.share for branch in policy.branches["a"]) == pytest.approx(1.0)


def test_a_step_with_tools_and_without_a_name_only_goes_to_plans_that_compare_answers():
    rng = random.Random(10)
    agree = Plan(kind="agree", models=("small", "tiny", "big"))
    plans = {**PLANS, str(agree): agree}
    costs = {**COSTS, str(agree): 3.0}
    chances = {"big": 0.8, "small": 0.9, str(agree): 0.9}

    def labelled(key: str) -> list[Labelled]:
        return [
            Labelled(
                identity=Identity(key, "tool_use"),
                scores={name: Scored(float(rng.random() < chance), costs[name]) for name, chance in chances.items()},
            )
            for _ in range(300)
        ]

    named = fit(labelled("agent/node+tools"), plans, "big")
    unnamed = fit(labelled("~tool_use:general+tools"), plans, "big")
    assert named is not None
    assert unnamed is not None
    assert [str(branch.plan) for branch in named.of("agent/node+tools")] == ["small"]
    assert [str(branch.plan) for branch in unnamed.of("~tool_use:general+tools")] == [str(agree)]
