"""The report of a ledger: every figure follows from its rows."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from typing import Any

import pytest
from tests.core.reporting import ledgers
from tests.core.reporting.written import END_S, START_S, answered, call, label, ledger, record, reported, trial

from taskrouter.ledger import Ledger
from taskrouter.reporting import Report, report


def test_the_spend_is_the_sum_of_all_calls(week: Report, week_records: list[dict[str, Any]]) -> None:
    calls = [one for record in week_records for one in record["outcome"]["calls"]]
    assert week.money.spend_usd == pytest.approx(sum(one["cost_usd"] for one in calls))
    assert sum(model.calls for model in week.models) == len(calls)
    assert {line.kind for line in week.money.lines} >= {"answers", "proposals", "failed", "trial: shadow"}


def test_the_outcomes_are_those_of_the_records(week: Report, week_records: list[dict[str, Any]]) -> None:
    steps = [record for record in week_records if record["policy"] != "trial"]
    counts = Counter(record["outcome"]["status"] for record in steps)
    assert (week.steps.total, week.steps.trials) == (len(steps), len(week_records) - len(steps))
    assert (week.steps.fallback, week.steps.exhausted, week.steps.cancelled) == (
        counts["fallback"],
        counts["exhausted"],
        counts["cancelled"],
    )
    assert min(week.steps.fallback, week.steps.exhausted, week.steps.cancelled, week.steps.trials) > 0
    assert week.steps.answered == counts["ok"] + counts["fallback"]
    assert [(refusal.error_type, refusal.steps) for refusal in week.refusals] == [
        ("budget_exceeded", 2),
        ("no_eligible_model", 1),
    ]
    assert week.steps.refused_share == pytest.approx(3 / (len(steps) + 3))


def test_latencies_are_those_of_answered_steps(week: Report, week_records: list[dict[str, Any]]) -> None:
    answered_s = sorted(
        record["outcome"]["latency_s"]
        for record in week_records
        if record["policy"] != "trial" and record["outcome"]["status"] in {"ok", "fallback"}
    )
    cuts = statistics.quantiles(answered_s, n=100, method="inclusive")
    assert week.latency.count == len(answered_s)
    assert (week.latency.p50_s, week.latency.p90_s, week.latency.p95_s, week.latency.p99_s) == pytest.approx(
        (cuts[49], cuts[89], cuts[94], cuts[98])
    )
    assert week.first_token.count == week.steps.answered


def test_failed_calls_are_counted_by_model_and_kind(week: Report, week_records: list[dict[str, Any]]) -> None:
    failed = Counter(
        (one["model"], one["error_type"])
        for record in week_records
        for one in record["outcome"]["calls"]
        if one["status"] == "failed"
    )
    assert {(failure.model, failure.error_type): failure.calls for failure in week.failures} == failed


def test_two_reports_of_the_same_ledger_are_equal(week_url: str) -> None:
    with Ledger.open(week_url) as kept:
        assert report(kept, until_s=ledgers.NOW_S) == report(kept, until_s=ledgers.NOW_S)


def test_the_report_is_json(week: Report) -> None:
    document = json.loads(json.dumps(week.to_dict(), allow_nan=False))
    assert document["money"]["spend_usd"] == week.money.spend_usd
    assert document["labels"]["score"].keys() == {"mean", "low", "high"}
    assert document["frontier"][0]["score"].keys() == {"mean", "low", "high"}


def test_an_answer_of_another_model_than_was_asked_is_reported(
    week: Report, week_records: list[dict[str, Any]]
) -> None:
    served = sum(
        one.get("served") == "llama-3.1-8b-instant" for record in week_records for one in record["outcome"]["calls"]
    )
    (mismatch,) = week.served.mismatches
    assert (mismatch.model, mismatch.asked, mismatch.calls) == ("llama-70b", "groq/llama-3.3-70b-versatile", served)
    assert week.served.unknown == 0


def test_the_answer_of_a_deployment_by_another_name_is_not_called_another_model() -> None:
    deployed = call("small", served="my-own-name", deployment="eu", taken=True)
    report_ = reported(record(1, deployed), answered(2))
    assert (report_.served.compared, report_.served.unknown, report_.served.mismatches) == (0, 2, ())


def test_a_breaker_that_was_open_before_the_window_is_out_from_its_start() -> None:
    events = [
        {"kind": "breaker", "at_s": START_S - 50, "endpoint": "small", "state": "open", "why": "timeouts"},
        {"kind": "breaker", "at_s": START_S + 100, "endpoint": "small", "state": "closed"},
        {"kind": "breaker", "at_s": START_S + 40, "endpoint": "large@eu", "state": "down", "why": "unauthenticated"},
        {"kind": "breaker", "at_s": START_S - 90, "endpoint": "old", "state": "open"},
        {"kind": "breaker", "at_s": START_S - 80, "endpoint": "old", "state": "closed"},
    ]
    kept = ledger(answered(1), events=events)
    small, large = sorted(report(kept, since_s=START_S, until_s=START_S + 1000).breakers, key=lambda one: one.out_s)
    assert (small.endpoint, small.now, small.opened, small.out_s) == ("small", "closed", 0, 100.0)
    assert (large.endpoint, large.now, large.opened, large.out_s) == ("large@eu", "down", 1, 960.0)


def test_labels_are_counted_by_identity_and_by_what_they_are_worth() -> None:
    steps = [answered(n, identity="a/") for n in range(30)] + [answered(100 + n, identity="b/") for n in range(5)]
    labels = [label(n) for n in range(24)]
    labels += [label(100, 0.0), label(100, 1.0, source="judge"), label(101, 0.5, source="nobody"), label(999)]
    coverage = reported(*steps, labels=labels).labels
    assert (coverage.steps, coverage.labelled, coverage.enough) == (35, 26, 20)
    first, second = coverage.identities
    assert (first.identity, first.steps, first.labelled, first.needed) == ("a/", 30, 24, 0)
    assert (second.labelled, second.needed) == (2, 18)
    assert second.score is not None
    assert second.score.mean == pytest.approx((0.8 / 1.8 + 0.5) / 2)  # a judge's word is worth 0.8 of a person's


def test_the_frontier_is_measured_where_there_are_labels_and_expected_elsewhere() -> None:
    ranking = [
        {"plan": {"models": [name]}, "score": 0.0, "quality": quality}
        for name, quality in (("small", 0.7), ("medium", 0.8), ("large", 0.9))
    ]
    steps = [answered(n, explained={"ranking": ranking}) for n in range(40)]
    report_ = reported(*steps, labels=[label(n, n % 2) for n in range(40)])
    points = {point.name: point for point in report_.frontier}
    assert points["small"].measured
    assert points["small"].quality == pytest.approx(0.5)
    assert not points["large"].measured
    assert points["large"].quality == pytest.approx(0.9)
    assert points["large"].cost_usd == pytest.approx(0.01)
    assert points["large"].standing == "incumbent"
    assert (points["as routed"].quality, points["as routed"].cost_usd) == pytest.approx((0.5, 0.001))
    assert report_.hull == ("small", "medium", "large")


def test_the_dearest_and_the_least_certain_are_explained() -> None:
    def loss(width: float) -> dict[str, float]:
        return {"mean": 0.0, "low": -width / 2, "high": width / 2}

    steps = [answered(n, loss=loss(n / 100)) for n in range(1, 15)]
    steps.append(record(50, call("large", taken=True), call("large", status="failed"), loss=loss(0.0)))
    steps.append(trial(60, call("large", taken=True, cost_usd=1.0)))
    found = reported(*steps, labels=[label(50, 0.25)])
    assert len(found.dearest) == len(found.least_certain) == 10
    assert found.dearest[0].id == "dec_0000000000000032"
    assert found.dearest[0].cost_usd == pytest.approx(0.02)
    assert "label     0.25 by user" in found.dearest[0].explanation
    assert [one.width for one in found.least_certain] == pytest.approx([n / 100 for n in range(14, 4, -1)])


def test_of_unequally_sure_task_types_the_least_confident_comes_first() -> None:
    profile = {"task_type": "chat", "confidence": 0.9}
    steps = [answered(1, loss={"mean": 0, "low": -0.1, "high": 0.1}, profile=profile)]
    steps.append(answered(2, loss={"mean": 0, "low": -0.1, "high": 0.1}, profile={**profile, "confidence": 0.1}))
    assert [one.confidence for one in reported(*steps).least_certain] == [0.1, 0.9]


def test_kinds_of_steps_that_are_equally_unsure_share_the_list() -> None:
    loss = {"mean": 0.0, "low": -0.2, "high": 0.2}
    kinds = [f"kind {n}/" for n in range(4)]
    steps = [answered(100 * n + i, identity=kind, loss=loss) for n, kind in enumerate(kinds) for i in range(20)]
    ids = [one.id for one in reported(*steps).least_certain]
    counts = Counter(int(id_.removeprefix("dec_"), 16) // 100 for id_ in ids)
    assert len(set(ids)) == 10
    assert set(counts) == {0, 1, 2, 3}
    assert min(counts.values()) == 2


def test_a_window_and_a_tenant_narrow_everything(week_url: str) -> None:
    with Ledger.open(week_url) as kept:
        last = report(kept, since_s=ledgers.NOW_S - 2 * ledgers.DAY_S, until_s=ledgers.NOW_S)
        early = report(kept, until_s=ledgers.NOW_S - 2 * ledgers.DAY_S)
        acme = report(kept, until_s=ledgers.NOW_S, tenant="acme")
        coder = report(kept, until_s=ledgers.NOW_S, agent="coder")
        whole = report(kept, until_s=ledgers.NOW_S)
    assert last.steps.total + early.steps.total == whole.steps.total
    assert [group.name for group in acme.groups["tenant"]] == ["acme"]
    assert acme.money.spend_usd == pytest.approx(
        next(group.spend_usd for group in whole.groups["tenant"] if group.name == "acme")
    )
    assert (acme.steps.refused, coder.steps.refused) == (1, 0)
    assert [group.name for group in coder.groups["agent"]] == ["coder"]


def test_rows_that_cannot_be_read_are_counted_and_in_no_figure() -> None:
    broken = ["{", "[]", json.dumps({**answered(2), "v": 9}), json.dumps({**answered(3), "identity": None}), "NaN"]
    events = ["nonsense", {"kind": "breaker", "at_s": START_S, "endpoint": "a", "state": "unheard of"}]
    found = reported(answered(1), *broken, events=events, labels=[{"score": 7}], pools={"v1": {"models": 3}})
    assert found.steps.total == 1
    assert found.unreadable == {"decisions": 5, "events": 2, "feedback": 1, "pools": 1}


def test_a_time_that_cannot_be_is_left_out() -> None:
    found = reported(answered(1), answered(2, at_s=1e300), answered(3, at_s=-5.0))
    assert (found.steps.total, found.last_s) == (1, START_S + 1)


def test_an_empty_ledger_has_an_empty_report() -> None:
    found = reported()
    assert found.empty
    assert (found.first_s, found.money.saved_usd, found.latency.p50_s, found.frontier) == (None, None, None, ())
    assert json.dumps(found.to_dict())


def test_many_names_do_not_fill_the_memory() -> None:
    found = reported(*(answered(n, agent=f"agent {n}", identity=f"agent {n}/") for n in range(1100)))
    assert len(found.groups["agent"]) == 1001
    assert next(group for group in found.groups["agent"] if group.name == "(others)").steps == 100
    assert sum(one.steps for one in found.labels.identities) == 1100


def test_a_report_hears_of_every_record_with_its_bill() -> None:
    heard = []
    kept = ledger(answered(1), trial(2, call("large", taken=True)), answered(3))
    report(kept, until_s=END_S, each=lambda record, bill: heard.append((record.id[-1], bill.known_usd)))
    assert heard == [("1", 0.001), ("2", 0.01), ("3", 0.001)]
