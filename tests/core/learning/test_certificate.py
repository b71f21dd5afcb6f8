"""Certificates: what is promised is kept as often as was said, is refused where it cannot be, and lapses."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.learning.certified import PLANS, certificate_of, policy_of, steps

from taskrouter.errors import ConfigurationError
from taskrouter.learning import Identity, Labelled, LearnedPolicy, Scored
from taskrouter.learning.bounds import binomial_bound
from taskrouter.learning.certificate import Certificate, Price, Verdict, certify, mix_of, split
from taskrouter.learning.ladder import harm, ladder

EASY_AND_HARD = {"easy": {"small": 0.0, "tiny": 0.03}, "hard": {"small": 0.3, "tiny": 0.6}}
LIMITS = {"max_loss": 0.02, "confidence": 0.9}


def verdict_of(policies: list[LearnedPolicy], rows: list[Labelled], **changes: object) -> Verdict:
    rng = random.Random(0)
    draws = [rng.random() for _ in rows]
    return certify(policies, rows, draws, **{**LIMITS, **changes})  # type: ignore[arg-type] # by name


def true_harm(policy: LearnedPolicy, chances: Mapping[str, Mapping[str, float]]) -> float:
    return sum(
        branch.share * chances[key].get(branch.plan.models[0], 0.0) / len(chances)
        for key, branches in policy.branches.items()
        for branch in branches
    )


def test_what_serves_an_easy_step_is_certified_and_a_hard_one_stays_with_the_incumbent():
    rng = random.Random(1)
    policies = ladder(steps(rng, 300, EASY_AND_HARD), PLANS, "big", max_loss=0.02)
    verdict = verdict_of(policies, steps(rng, 400, EASY_AND_HARD))
    assert verdict.certified is not None
    best = verdict.certified
    assert best.bound <= 0.02
    assert best.bound == pytest.approx(binomial_bound(round(best.harmed), 400, 0.9))
    assert best.saving > 0.4
    assert {str(branch.plan) for branch in best.policy.branches["easy"]} <= {"small", "tiny"}
    assert sum(branch.share for branch in best.policy.branches["hard"] if branch.plan == PLANS["big"]) > 0.9


@pytest.mark.parametrize("drop", [1.0, 0.4], ids=["whole", "by size"])
def test_a_promise_is_broken_no_oftener_than_was_said(drop):
    chances = {"easy": {"small": 0.02, "tiny": 0.05}, "hard": {"small": 0.06, "tiny": 0.15}}
    broken = 0
    for seed in range(60):
        rng = random.Random(seed)
        rows = steps(rng, 460, chances, drop)
        policies = ladder(rows[:160], PLANS, "big", max_loss=0.02)
        draws = [rng.random() for _ in rows[160:]]
        method = "binomial" if drop == 1.0 else "betting"
        verdict = certify(policies, rows[160:], draws, **LIMITS, method=method)  # type: ignore[arg-type] # by name
        if verdict.certified is not None:
            broken += drop * true_harm(verdict.certified.policy, chances) > 0.02
    assert broken <= 9  # 6 are promised at most; 3 are what chance may add


def test_policies_are_tested_from_the_most_cautious_on_until_one_fails():
    rng = random.Random(3)
    rows = steps(rng, 300, {"a": {"small": 0.0, "tiny": 0.5}})
    good, bad, never = policy_of({"a": "small"}), policy_of({"a": "tiny"}), policy_of({"a": "small"})
    verdict = verdict_of([good, bad, never], rows)
    assert [one.policy for one in verdict.tested] == [good, bad]
    assert verdict.certified is not None
    assert verdict.certified.policy is good
    assert verdict_of([bad, good], rows).certified is None


def test_a_ladder_grows_bolder_step_by_step():
    rows = steps(random.Random(4), 400, EASY_AND_HARD)
    policies = ladder(rows, PLANS, "big", max_loss=0.05)
    costs = [sum(row.scores[str(of(policy, row))].cost_usd or 0.0 for row in rows) for policy in policies]
    assert costs == sorted(costs, reverse=True)
    assert len(policies) > 5


def of(policy: LearnedPolicy, row: Labelled) -> object:
    chosen = policy.choose(row.identity.key, 0.5)
    assert chosen is not None
    return chosen.plan


def test_a_gain_does_not_make_up_for_harm():
    won = Labelled(identity=Identity("a", "chat"), scores={"big": Scored(0.0), "small": Scored(1.0)})
    lost = Labelled(identity=Identity("a", "chat"), scores={"big": Scored(0.7), "small": Scored(0.5)})
    assert harm(won, "small", "big") == 0.0
    assert harm(lost, "small", "big") == pytest.approx(0.2)


def test_where_no_harm_is_too_few_steps_it_is_refused_with_the_number_that_would_do():
    assert split(100, 0.02, 0.9) == 0
    verdict = verdict_of([policy_of({"a": "small"})], [])
    assert verdict.certified is None
    assert verdict.needed == 114 + 20
    assert split(verdict.needed, 0.02, 0.9) == 114


def test_a_refusal_says_how_many_steps_the_harm_that_was_seen_would_need():
    rows = steps(random.Random(6), 150, {"a": {"small": 0.012, "tiny": 1.0}})
    harmed = sum(harm(row, "small", "big") for row in rows)
    assert harmed == 2
    verdict = verdict_of([policy_of({"a": "small"})], rows)
    assert verdict.certified is None
    assert verdict.needed is not None
    assert 700 < verdict.needed < 5000


def test_where_harm_is_above_the_limit_no_number_would_do():
    rows = steps(random.Random(7), 200, {"a": {"small": 0.1, "tiny": 1.0}})
    assert verdict_of([policy_of({"a": "small"})], rows).needed is None


def test_what_saves_nothing_is_not_certified():
    rows = steps(random.Random(8), 300, {"a": {"small": 0.0, "tiny": 0.0}})
    verdict = verdict_of([policy_of({"a": "big"})], rows)
    assert (verdict.certified, verdict.needed) == (None, None)
    assert verdict_of([], rows).certified is None


def test_contradictory_labels_of_one_prompt_teach_nothing_harmful():
    identity = Identity("a", "chat")
    right = {"big": Scored(1.0, 10.0), "small": Scored(1.0, 1.0), "tiny": Scored(0.0, 0.5)}
    wrong = {"big": Scored(1.0, 10.0), "small": Scored(0.0, 1.0), "tiny": Scored(1.0, 0.5)}
    rows = [Labelled(identity=identity, scores=scores) for scores in (right, wrong) * 150]
    assert verdict_of(ladder(rows[:100], PLANS, "big", max_loss=0.02), rows[100:]).certified is None


def test_an_identity_that_was_not_learned_counts_as_it_is_served():
    rows = steps(random.Random(9), 300, {"new": {"small": 0.5, "tiny": 0.5}})
    known = policy_of({"old": "small"})
    assert verdict_of([known], rows).tested[0].harmed == 0.0
    assert verdict_of([known], rows, otherwise=["small"] * 300).tested[0].harmed > 100


def test_under_the_binomial_bound_a_fraction_of_harm_counts_whole():
    rows = steps(random.Random(10), 300, {"a": {"small": 0.1, "tiny": 0.1}}, drop=0.25)
    whole = verdict_of([policy_of({"a": "small"})], rows).tested[0]
    exact = verdict_of([policy_of({"a": "small"})], rows, method="betting").tested[0]
    assert whole.harmed == pytest.approx(4 * exact.harmed)
    assert exact.bound < whole.bound


@given(st.integers(0, 3000), st.floats(0.005, 0.2), st.sampled_from([0.8, 0.9, 0.99]))
@settings(max_examples=60)
def test_both_parts_of_the_steps_are_there_or_none_certifies(total, max_loss, confidence):
    for method in ("binomial", "betting"):
        n = split(total, max_loss, confidence, method)
        assert n == 0 or 0 < n < total


# --- what is kept of it ---------------------------------------------------------------------------------------------


def test_a_certificate_survives_being_written_down():
    certificate = certificate_of(policy_of({"a": "small", "b": "big"}))
    assert Certificate.from_dict(certificate.to_dict()) == certificate
    assert certificate.line == "at most 1.0 % harm at confidence 0.90 (n=412, 2026-11-29)"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("schema", 2, "'schema'"), ("n", 0, "'n'"), ("confidence", 1.0, "'confidence'"), ("mix", {"a": 2}, "'mix.a'")],
)
def test_a_damaged_certificate_is_refused_by_its_field(key, value, said):
    document = certificate_of(policy_of({"a": "small"})).to_dict() | {key: value}
    with pytest.raises(ConfigurationError, match=said):
        Certificate.from_dict(document)


# --- when it no longer holds ----------------------------------------------------------------------------------------

POOL = {"big": Price("openai/big", 1.0, 4.0), "small": Price("openai/small", 1.0, 4.0)}
CERTIFICATE = certificate_of(policy_of({"a": "small", "b": "big"}))


def test_it_holds_for_the_pool_it_was_issued_for_and_for_a_larger_one():
    assert CERTIFICATE.lapsed("big", POOL) is None
    assert CERTIFICATE.lapsed("big", {**POOL, "new": Price("openai/new", 0.1, 0.1)}) is None


@pytest.mark.parametrize(
    ("incumbent", "changes", "said"),
    [
        ("small", {}, "the incumbent is small, and was big"),
        ("big", {"small": None}, "small is no longer in the pool"),
        ("big", {"small": Price("openai/smaller", 1.0, 4.0)}, "small is now openai/smaller, and was openai/small"),
        ("big", {"big": Price("openai/big", 1.0, 5.2)}, "prices of big changed by +30 %"),
        ("big", {"small": Price("openai/small", 0.5, 4.0)}, "prices of small changed by -50 %"),
    ],
)
def test_it_lapses_with_the_pool_and_its_prices(incumbent, changes, said):
    pool = {id_: price for id_, price in {**POOL, **changes}.items() if price is not None}
    assert CERTIFICATE.lapsed(incumbent, pool) == said


@pytest.mark.parametrize(
    "price",
    [Price("azure/small", 1.2, 4.0), Price("openai/small"), Price("openai/small", 0.8, 4.8)],
    ids=["by another way", "unknown", "within the margin"],
)
def test_it_outlives_small_changes_and_unknown_prices(price):
    assert CERTIFICATE.lapsed("big", {**POOL, "small": price}) is None


def test_a_price_that_was_nothing_may_not_become_something():
    free = certificate_of(policy_of({"a": "small"}), pool={"small": Price("small", 0.0, 0.0)})
    assert free.lapsed("big", {"small": Price("small", 0.0, 0.0)}) is None
    assert free.lapsed("big", {"small": Price("small", 0.1, 0.0)}) is not None


def test_it_lapses_when_the_work_is_of_other_kinds():
    assert CERTIFICATE.drifted({"a": 100, "b": 100}) is None
    assert CERTIFICATE.drifted({"a": 130, "b": 70}) is None
    assert CERTIFICATE.drifted({"a": 200}) == "50 % of the last 200 steps are of other kinds than it was counted on"
    assert CERTIFICATE.drifted({"c": 200}) is not None
    assert CERTIFICATE.drifted({}) is None


@given(st.integers(2, 60), st.integers(0, 2**32))
@settings(max_examples=30)
def test_chance_alone_does_not_make_it_lapse(kinds, seed):
    rng = random.Random(seed)
    keys = [f"k{i}" for i in range(kinds)]
    certificate = certificate_of(policy_of(dict.fromkeys(keys, "small")))
    counts = dict.fromkeys(keys, 0)
    for _ in range(200):
        counts[rng.choice(keys)] += 1
    assert certificate.drifted(counts) is None


def test_the_mix_is_shares_of_identities():
    assert mix_of([Identity(key, "chat") for key in "aab"]) == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 3)}
