"""Off-policy estimators, against simulated logs whose truth is known."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.evaluation.offpolicy import Case, Estimate, OutcomeModel, OverlapError, estimate, overlap, refuse

LOGGED: Mapping[str, Mapping[str, float]] = {
    "extract": {"small": 0.2, "medium": 0.3, "large": 0.5},
    "plan": {"small": 0.1, "medium": 0.1, "large": 0.8},
}
"""The chances of the policy that made the log."""
RIGHT: Mapping[str, Mapping[str, float]] = {
    "extract": {"small": 0.8, "medium": 0.9, "large": 0.9},
    "plan": {"small": 0.2, "medium": 0.6, "large": 0.85},
}
"""How often each plan is right."""
DETERMINISTIC: Mapping[str, Mapping[str, float]] = {"extract": {"small": 1.0}, "plan": {"large": 1.0}}
MIXED: Mapping[str, Mapping[str, float]] = {
    "extract": {"small": 0.7, "large": 0.3},
    "plan": {"medium": 0.25, "large": 0.75},
}
STEPS, LOGS = 200, 150


def truth(target: Mapping[str, Mapping[str, float]]) -> float:
    """Both identities are as frequent."""
    return statistics.fmean(
        sum(chance * RIGHT[key][plan] for plan, chance in plans.items()) for key, plans in target.items()
    )


def simulated(
    target: Mapping[str, Mapping[str, float]], seed: int, steps: int = STEPS
) -> tuple[list[Case], list[float]]:
    rng = random.Random(seed)
    cases, values = [], []
    for _ in range(steps):
        key = rng.choice(["extract", "plan"])
        (plan,) = rng.choices([*LOGGED[key]], [*LOGGED[key].values()])
        cases.append(Case(key, "unknown", plan, LOGGED[key], target[key]))
        values.append(float(rng.random() < RIGHT[key][plan]))
    return cases, values


def estimates(target: Mapping[str, Mapping[str, float]]) -> list[Estimate]:
    return [estimate(*simulated(target, seed), bound=1.0) for seed in range(LOGS)]


@pytest.mark.parametrize("target", [DETERMINISTIC, MIXED, LOGGED], ids=["deterministic", "mixed", "logged"])
def test_over_many_logs_the_estimates_centre_on_the_truth(target: Mapping[str, Mapping[str, float]]) -> None:
    found = estimates(target)
    for name in ("ips", "snips", "dr"):
        means = [getattr(one, name).mean for one in found]
        error = statistics.stdev(means) / LOGS**0.5
        assert statistics.fmean(means) == pytest.approx(truth(target), abs=4 * error), name
    changes = [one.difference.mean for one in found]
    error = statistics.stdev(changes) / LOGS**0.5
    assert statistics.fmean(changes) == pytest.approx(truth(target) - truth(LOGGED), abs=4 * error)


@pytest.mark.parametrize("target", [DETERMINISTIC, MIXED], ids=["deterministic", "mixed"])
def test_nineteen_intervals_of_twenty_hold_the_truth(target: Mapping[str, Mapping[str, float]]) -> None:
    found = estimates(target)
    for name in ("ips", "snips", "dr"):
        held = sum(getattr(one, name).low <= truth(target) <= getattr(one, name).high for one in found)
        assert 0.9 <= held / LOGS <= 1.0, name


def test_the_calmer_estimators_are_calmer() -> None:
    found = estimates(DETERMINISTIC)
    ips, snips, dr = (statistics.stdev(getattr(one, name).mean for one in found) for name in ("ips", "snips", "dr"))
    assert snips < ips
    assert dr < ips


def test_a_wrong_model_of_outcomes_does_not_mislead_the_doubly_robust() -> None:
    """Ten steps in a log: the model knows next to nothing."""
    found = [estimate(*simulated(MIXED, seed, steps=10)) for seed in range(2000)]
    means = [one.dr.mean for one in found]
    assert statistics.fmean(means) == pytest.approx(truth(MIXED), abs=4 * statistics.stdev(means) / 2000**0.5)


@st.composite
def logs(draw: st.DrawFn, same: bool = False) -> tuple[list[Case], list[float]]:
    plans = ["a", "b", "c"]
    cases, values = [], []
    for _ in range(draw(st.integers(1, 30))):
        raw = draw(st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3))
        logged = {plan: share / sum(raw) for plan, share in zip(plans, raw, strict=True)}
        wanted = draw(st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3))
        target = logged if same else {plan: share / sum(wanted) for plan, share in zip(plans, wanted, strict=True)}
        key = draw(st.sampled_from(["x", "y"]))
        cases.append(Case(key, "t", draw(st.sampled_from(plans)), logged, target))
        values.append(draw(st.floats(0.0, 1.0)))
    return cases, values


@given(logs(same=True))
def test_the_logged_policy_itself_gets_the_logged_mean(log: tuple[list[Case], list[float]]) -> None:
    found = estimate(*log)
    assert found.ips.mean == pytest.approx(statistics.fmean(log[1]))
    assert found.snips.mean == pytest.approx(statistics.fmean(log[1]))
    assert found.ess == pytest.approx(len(log[0]))


@given(st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("ab"), st.floats(0, 1)), min_size=1, max_size=30))
def test_without_chance_all_estimators_agree_with_the_log(steps: list[tuple[str, str, float]]) -> None:
    cases = [Case(key, "t", plan, {plan: 1.0}, {plan: 1.0}) for key, plan, _ in steps]
    found = estimate(cases, [value for *_, value in steps])
    for mean in (found.ips.mean, found.snips.mean, found.dr.mean):
        assert mean == pytest.approx(found.logged.mean, abs=1e-12)
    assert found.difference == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


@given(logs())
def test_no_log_is_worth_more_than_its_steps(log: tuple[list[Case], list[float]]) -> None:
    found = estimate(*log, bound=1.0)
    assert 0.0 < found.ess <= found.steps == len(log[0])
    lowest, highest = min(log[1]), max(log[1])
    assert lowest - 1e-9 <= found.snips.mean <= highest + 1e-9
    for mean in (found.logged, found.ips, found.snips, found.dr, found.difference):
        assert mean.low <= mean.mean <= mean.high


def test_equal_outcomes_are_no_proof() -> None:
    cases = [Case("x", "t", "a", {"a": 1.0}, {"a": 1.0})] * 30
    found = estimate(cases, [1.0] * 30, bound=1.0)
    assert found.snips.mean == 1.0
    assert found.snips.low < 0.94


def test_a_step_has_support_when_all_that_might_be_chosen_had_a_chance() -> None:
    chances = {"a": 0.5, "b": 0.5}
    assert Case("x", "t", "a", chances, {"b": 1.0}).supported
    assert not Case("x", "t", "a", chances, {"b": 0.9, "c": 0.1}).supported
    assert not Case("x", "t", "a", {"a": 1.0}, {"b": 1.0}).supported
    assert Case("x", "t", "a", {"a": 1.0}, {"a": 1.0, "b": 0.0}).supported


def test_what_lacks_support_is_counted_by_identity_and_too_much_of_it_is_refused() -> None:
    good = Case("extract", "t", "a", {"a": 1.0}, {"a": 1.0})
    bad = [Case(key, "t", "a", {"a": 1.0}, {"b": 1.0}) for key in ("plan", "plan", "sum up")]
    found = overlap([good] * 5 + bad + [good._replace(identity="plan")])
    assert (found.steps, found.supported) == (9, 6)
    assert found.lacking == {"plan": (2, 3), "sum up": (1, 1)}
    refuse(found, most=0.5)
    with pytest.raises(OverlapError, match=r"on 3 of 9 decisions \(33 %.*'plan' \(2 of 3\), 'sum up' \(1 of 1\)"):
        refuse(found, most=0.1)


def test_steps_without_support_are_never_estimated_as_nothing() -> None:
    with pytest.raises(ValueError, match="lacks support"):
        estimate([Case("x", "t", "a", {"a": 1.0}, {"b": 1.0})], [1.0])
    with pytest.raises(ValueError, match="no decision has a weight"):
        estimate([Case("x", "t", "a", {"a": 0.5, "b": 0.5}, {"b": 1.0})], [1.0])


def test_the_model_of_outcomes_borrows_from_the_plan_and_the_task_type() -> None:
    def case(identity: str, task_type: str, plan: str) -> Case:
        return Case(identity, task_type, plan, {plan: 1.0}, {plan: 1.0})

    seen = [case("x", "t", "a")] * 50 + [case("y", "t", "b")] * 50
    model = OutcomeModel(seen, [1.0] * 50 + [0.0] * 50)
    assert model.expected(case("x", "t", "a"), "a") > 0.95
    assert model.expected(case("new", "t", "a"), "a") > 0.9
    assert model.expected(case("new", "other", "a"), "a") > model.expected(case("new", "other", "a"), "b")
    assert model.expected(case("x", "t", "a"), "never seen") == pytest.approx(0.5)
