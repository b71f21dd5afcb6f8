"""Honest money: what was spent is net of every call, and nothing unknown counts as zero."""

from __future__ import annotations

import random

import pytest
from tests.core.reporting.written import POOL, answered, call, label, record, reported, trial

from taskrouter.reporting import Report
from taskrouter.reporting.money import SURE


def lines(report: Report) -> dict[str, float]:
    return {line.kind: round(line.spend_usd, 9) for line in report.money.lines}


def saved_usd(report: Report) -> float:
    assert report.money.saved_usd is not None
    return report.money.saved_usd.value


def test_an_answer_is_set_against_the_incumbents_price_of_its_tokens() -> None:
    report = reported(answered(1, "small"))
    assert (report.money.spend_usd, report.money.baseline_usd) == pytest.approx((0.001, 0.01))
    assert saved_usd(report) == pytest.approx(0.009)
    assert report.money.saving is not None
    assert report.money.saving.value == pytest.approx(0.9)
    assert report.money.incumbents == ("large",)


def test_what_came_from_a_cache_is_cached_for_the_incumbent_too() -> None:
    cards = {
        "small": {"id": "small", "model": "a/small", "input_usd_per_million": 1, "output_usd_per_million": 1},
        "large": {
            "id": "large",
            "model": "a/large",
            "input_usd_per_million": 10,
            "cached_input_usd_per_million": 1,
            "output_usd_per_million": 10,
        },
    }
    warm = record(1, call("small", cached_tokens=500, taken=True))
    report = reported(warm, pools={"v1": {"incumbent": "large", "models": cards}})
    assert report.money.baseline_usd == pytest.approx((400 * 10 + 500 * 1 + 100 * 10) / 1e6)


def test_every_kind_of_extra_call_is_a_line_and_is_charged() -> None:
    report = reported(
        record(1, call("small", role="propose", taken=True), call("medium", role="propose")),
        record(2, call("small"), call("large", role="escalation", taken=True)),
        record(3, call("small", status="failed", error_type="timeout"), call("large", role="fallback", taken=True)),
        record(4, call("small", status="cancelled"), call("medium", role="hedge", taken=True)),
        record(5, call("small", taken=True), call("medium", role="hedge", status="cancelled")),
        record(6, call("small"), status="cancelled"),
        trial(7, call("large", taken=True)),
        trial(8, call("medium", taken=True), reason="judge"),
        trial(9, call("medium", taken=True), reason="calibration"),
        trial(10, call("small", taken=True), reason="something of a plugin"),
    )
    assert lines(report) == {
        "answers": 0.026,  # small, large, large, medium, small
        "proposals": 0.004,
        "replaced": 0.001,
        "failed": 0.001,
        "cancelled": 0.002,
        "hedges": 0.004,
        "trial: shadow": 0.01,
        "trial: judge": 0.004,
        "trial: calibration": 0.004,
        "trial: other": 0.001,
    }
    assert report.money.spend_usd == pytest.approx(sum(lines(report).values()))
    assert report.money.baseline_usd == pytest.approx(5 * 0.01)
    assert saved_usd(report) == pytest.approx(5 * 0.01 - sum(lines(report).values()))
    assert (report.steps.total, report.steps.trials) == (6, 4)


def test_a_step_that_nobody_answered_is_spent_and_no_baseline() -> None:
    report = reported(record(1, call("small", status="failed", error_type="timeout")), answered(2, "small"))
    assert report.money.baseline_usd == pytest.approx(0.01)
    assert saved_usd(report) == pytest.approx(0.01 - 0.002)
    assert report.money.compared_steps == 1


def test_an_unknown_price_is_counted_and_in_no_comparison() -> None:
    report = reported(answered(1), record(2, call("small", cost_usd=None, taken=True), call("large", role="propose")))
    assert report.money.unpriced_calls == 1
    assert report.money.spend_usd == pytest.approx(0.001 + 0.01)
    assert (report.money.compared_steps, report.money.left_out_steps) == (1, 1)
    assert report.money.baseline_usd == pytest.approx(0.01)
    assert saved_usd(report) == pytest.approx(0.009)


def test_without_prices_of_the_incumbent_nothing_is_said_to_be_saved() -> None:
    report = reported(answered(1), pools={})
    assert report.money.saved_usd is None
    assert report.money.saving is None
    assert report.money.spend_usd == pytest.approx(0.001)
    assert not report.versions[0].prices_known


def test_a_record_from_before_tokens_were_kept_has_no_baseline() -> None:
    old = {"model": "small", "role": "primary", "status": "ok", "cost_usd": 0.001}
    report = reported(record(1, old, outcome={"model": "small", "status": "ok"}))
    assert lines(report) == {"answers": 0.001}
    assert report.money.saved_usd is None


def test_routing_that_costs_more_says_so() -> None:
    dear = record(1, call("large", role="propose", taken=True), call("medium", role="propose"))
    assert saved_usd(reported(dear)) == pytest.approx(-0.004)


def test_every_model_of_the_pool_is_reckoned_alone() -> None:
    alone = {one.model: one for one in reported(answered(1), answered(2, "large")).money.alone}
    assert {name: one.cost_usd for name, one in alone.items()} == pytest.approx(
        {"small": 0.002, "medium": 0.008, "large": 0.02}
    )
    assert alone["small"].saved_usd is not None
    assert alone["small"].saved_usd.value == pytest.approx(-0.009)


def test_a_model_that_was_not_in_every_pool_is_not_compared() -> None:
    newer = {"incumbent": "large", "models": {"large": {"id": "large", "model": "house/large"}}}
    report = reported(answered(1), answered(2, "large", policy_version="v2"), pools={"v1": POOL, "v2": newer})
    alone = {one.model: one for one in report.money.alone}
    assert (alone["small"].cost_usd, alone["small"].saved_usd, alone["small"].missing) == (None, None, 1)
    assert alone["large"].cost_usd == pytest.approx(0.02)


def test_what_the_incumbent_did_cost_is_set_beside_what_was_reckoned() -> None:
    both = record(1, call("small", taken=True), call("large", role="propose", cost_usd=0.012))
    step = answered(2)
    shadowed = [step, trial(3, call("large", cost_usd=0.006, taken=True), of=step["id"])]
    elsewhere = trial(4, call("large", taken=True), of="dec_0123456789abcdef")
    check = reported(both, *shadowed, elsewhere).money.check
    assert check.steps == 2
    assert check.ratio == pytest.approx((0.012 + 0.006) / 0.02)


def test_few_runs_have_no_interval_and_many_have_one_that_holds_the_saving() -> None:
    few = reported(*(answered(number, run="one") for number in range(50)))
    assert few.money.clusters == 1
    assert few.money.saving is not None
    assert few.money.saving.low is None
    rng = random.Random(1)
    steps = [answered(n, rng.choice(("small", "large")), run=f"run {n // 5}") for n in range(300)]
    saving = reported(*steps).money.saving
    assert saving is not None
    assert saving.low is not None
    assert saving.high is not None
    assert saving.low < saving.value < saving.high
    assert 0.05 < saving.high - saving.low < 0.2


def test_a_step_and_its_trials_are_one_when_intervals_are_reckoned() -> None:
    steps = [answered(number) for number in range(6)]
    trials = [trial(100 + n, call("small", taken=True), of=f"dec_{n:016x}") for n in range(6)]
    money = reported(*steps, *trials).money
    assert money.clusters == 6
    assert money.saving is not None
    assert money.saving.low is None


def test_a_step_for_which_nobody_was_called_has_no_call() -> None:
    report = reported(record(1, outcome={"cost_usd": 0.0}), answered(2))
    assert {line.kind: line.calls for line in report.money.lines} == {"answers": 1}
    assert [(model.model, model.calls) for model in report.models] == [("small", 1)]


def test_steps_of_a_run_that_go_alike_are_less_sure_than_as_many_single_steps() -> None:
    def width(run: int) -> float:
        steps = [answered(n, "small" if n // 10 % 2 else "large", run=f"run {n // run}") for n in range(400)]
        saving = reported(*steps).money.saving
        assert saving is not None
        assert saving.low is not None
        assert saving.high is not None
        return saving.high - saving.low

    assert width(10) > 2 * width(1)


def test_of_very_many_models_the_cheapest_and_the_incumbent_have_intervals() -> None:
    models = {
        f"m{number}": {
            "id": f"m{number}",
            "model": f"house/m{number}",
            "input_usd_per_million": 1 + number,
            "output_usd_per_million": 1 + number,
        }
        for number in range(SURE + 10)
    }
    last = f"m{SURE + 9}"
    pool = {"incumbent": last, "models": models}
    steps = [record(n, {**call("small"), "model": "m0", "taken": True}, incumbent=last) for n in range(30)]
    alone = {one.model: one for one in reported(*steps, pools={"v1": pool}).money.alone}
    assert len(alone) == SURE + 10
    with_interval = {model for model, one in alone.items() if one.saving is not None and one.saving.low is not None}
    assert with_interval == {*(f"m{number}" for number in range(SURE)), last}
    left = alone[f"m{SURE}"].saved_usd
    assert left is not None
    assert left.value == pytest.approx(30 * SURE / 1000)


def test_the_best_single_model_needs_labels_on_most_of_the_work() -> None:
    def labelled(hard_large: int) -> str | None:
        easy = [answered(n, "small", identity="easy/") for n in range(100)]
        hard = [answered(100 + n, "large", identity="hard/") for n in range(120)]
        labels = [label(n) for n in range(60)] + [label(100 + n, n % 10 / 10) for n in range(hard_large)]
        return reported(*easy, *hard, labels=labels).money.best_single

    assert labelled(0) is None  # right on all that is easy, and never tried on the rest
    assert labelled(19) is None
    assert labelled(30) == "large"


def test_of_equally_good_models_the_cheaper_is_the_best() -> None:
    steps = [answered(n, ("small", "medium")[n % 2]) for n in range(80)]
    assert reported(*steps, labels=[label(n) for n in range(80)]).money.best_single == "small"


def test_groups_and_models_add_up_to_the_spend() -> None:
    report = reported(
        answered(1, agent="clerk", tenant="acme"),
        answered(2, "large", agent="planner"),
        trial(3, call("medium", taken=True), agent="planner"),
        record(4, call("small", status="failed", error_type="timeout"), agent=None),
    )
    for groups in report.groups.values():
        assert sum(group.spend_usd for group in groups) == pytest.approx(report.money.spend_usd)
        assert sum(group.steps for group in groups) == report.steps.total == 3
        assert sum(group.saved_usd or 0.0 for group in groups) == pytest.approx(saved_usd(report))
    assert sum(model.spend_usd for model in report.models) == pytest.approx(report.money.spend_usd)
    assert sum(day.spend_usd for day in report.days) == pytest.approx(report.money.spend_usd)
    assert [group.name for group in report.groups["agent"]] == ["planner", "(none)", "clerk"]
