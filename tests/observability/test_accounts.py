"""A thousand random steps: every account of the money says the same, and metrics do not grow with the steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from tests.core.observability.recorder import Recorder
from tests.observability.random_steps import PRICED, SOURCES, UNPRICED, Chance
from tests.observability.steps import Traced, traced

from taskrouter.ledger import Record
from taskrouter.observability import names as n
from taskrouter.observability.metric_table import METRICS
from taskrouter.outcome import Attempt
from taskrouter.reporting import report

STEPS, HEDGED = 1000, 20
TOLERANCE = 1e-9


class Accounts(NamedTuple):
    """What each of those who keep an account knows."""

    attempts: list[Attempt]
    steps: list[Traced]
    early: dict[str, list[tuple[dict[str, Any], Any]]]
    """The metrics halfway."""
    points: dict[str, list[tuple[dict[str, Any], Any]]]
    records: list[Record]
    spend_usd: float
    unpriced_calls: int


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    """A thousand steps, some of them with trials behind them, and a few with hedges."""
    recorder = Recorder()
    chance = Chance(recorder, seed=7)
    chance.go(STEPS // 2)
    early = recorder.points()
    chance.go(STEPS // 2)
    hedging = Chance(recorder, seed=8, hedge_quantile=0.9)
    hedging.hedged(HEDGED)
    ledgers = [one.router._state.reading() for one in (chance, hedging)]
    reports = [report(ledger, until_s=time.time() + 60) for ledger in ledgers]
    yield Accounts(
        attempts=[*chance.watcher.attempts, *hedging.watcher.attempts],
        steps=traced([s for s in recorder.spans if not s.name.startswith("feedback") and s.name != "route"]),
        early=early,
        points=recorder.points(),
        records=[record for ledger in ledgers for record in ledger.records()],
        spend_usd=sum(one.money.spend_usd for one in reports),
        unpriced_calls=sum(one.money.unpriced_calls for one in reports),
    )
    for one in (chance, hedging):
        one.router.close()
    assert recorder.open == {}
    recorder.shutdown()


def known(costs: Any) -> float:
    """What is known of some costs. An unknown price is never counted as zero, and hides no other."""
    return math.fsum(cost for cost in costs if cost is not None)


def test_chance_has_brought_everything(accounts: Accounts) -> None:
    attempts, steps = accounts.attempts, accounts.steps
    assert len(steps) > STEPS
    assert {attempt.status for attempt in attempts} == {"ok", "failed", "cancelled"}
    assert {attempt.role for attempt in attempts} == {"primary", "propose", "escalation", "fallback", "hedge"}
    assert {step.status for step in steps} == {"ok", "fallback", "exhausted", "cancelled"}
    assert {step.said[n.DECISION_PLAN] for step in steps} == {"single", "gate", "agree"}
    assert {record.is_trial for record in accounts.records} == {True, False}
    assert len({attempt.deployment for attempt in attempts}) > 1
    assert any(attempt.cost_usd is None for attempt in attempts)
    assert any(n.COST_TOTAL not in step.said for step in steps)
    assert any(retries > 0 for step in steps for retries in step.each(n.ATTEMPT_RETRIES))


def test_all_accounts_of_the_money_agree(accounts: Accounts) -> None:
    spent = known(attempt.cost_usd for attempt in accounts.attempts)
    assert spent > 0
    assert known(value for _, value in accounts.points[n.COST]) == pytest.approx(spent, rel=TOLERANCE)
    assert known(c for step in accounts.steps for c in step.each(n.COST_AMOUNT)) == pytest.approx(spent, rel=TOLERANCE)
    ledger = known(call.cost_usd for record in accounts.records for call in record.outcome.calls)
    assert ledger == pytest.approx(spent, rel=TOLERANCE)
    assert accounts.spend_usd == pytest.approx(spent, rel=TOLERANCE)


def test_calls_without_a_price_are_counted_and_not_guessed(accounts: Accounts) -> None:
    unpriced = sum(attempt.cost_usd is None for attempt in accounts.attempts)
    assert {attempt.model for attempt in accounts.attempts if attempt.cost_usd is None} == {UNPRICED}
    assert accounts.unpriced_calls == unpriced
    assert sum(c.cost_usd is None for record in accounts.records for c in record.outcome.calls) == unpriced


def test_a_steps_total_is_the_same_everywhere_and_unknown_together(accounts: Accounts) -> None:
    by_id = {record.id: record.outcome.cost_usd for record in accounts.records}
    assert len(by_id) == len(accounts.steps)
    for step in accounts.steps:
        total = step.said.get(n.COST_TOTAL)
        recorded = by_id[step.said[n.DECISION_ID]]
        assert (total is None) == (recorded is None)
        assert recorded == (None if total is None else pytest.approx(total, rel=TOLERANCE))
    whole = known(step.said.get(n.COST_TOTAL) for step in accounts.steps)
    parts = known(c for s in accounts.steps if n.COST_TOTAL in s.said for c in s.each(n.COST_AMOUNT))
    assert whole == pytest.approx(parts, rel=TOLERANCE)


def test_tokens_agree_too(accounts: Accounts) -> None:
    used = [attempt.usage for attempt in accounts.attempts if attempt.usage is not None]
    assert sum(step.said[n.USAGE_INPUT] for step in accounts.steps) == sum(usage.input_tokens for usage in used)
    assert sum(step.said[n.USAGE_OUTPUT] for step in accounts.steps) == sum(usage.output_tokens for usage in used)
    calls = [call for record in accounts.records for call in record.outcome.calls]
    assert sum(call.output_tokens for call in calls) == sum(usage.output_tokens for usage in used)


def test_label_sets_are_few_and_do_not_grow_with_the_steps(accounts: Accounts) -> None:
    for name, points in accounts.points.items():
        sets = {tuple(sorted(labels.items())) for labels, _ in points}
        keys = {key for labels, _ in points for key in labels}
        bound = math.prod(len({labels.get(key) for labels, _ in points}) for key in keys)
        assert len(sets) == len(points) <= bound, name
    allowed = {row.name: {*row.labels, *row.sometimes} for row in METRICS}
    for name, points in accounts.points.items():
        assert {key for labels, _ in points for key in labels} <= allowed[name], name
        for label in allowed[name]:
            assert len(values(points, label)) <= 16, (name, label)
            late = values(points, label) - values(accounts.early.get(name, []), label)
            assert len(late) <= 6, "the second half brings hedges and what had not happened yet, not more of the same"


def test_no_label_names_a_step_a_run_an_agent_or_a_person(accounts: Accounts) -> None:
    said = {str(value) for points in accounts.points.values() for labels, _ in points for value in labels.values()}
    assert not [value for value in said if value.startswith(("dec_", "run-", "session-", "agent-", "tenant-"))]
    assert not said & {*SOURCES[2:], "canary"}
    models = {f"openai/{name}" for name in (*PRICED, UNPRICED)}
    assert values(accounts.points[n.COST], n.GENAI_REQUEST_MODEL) <= models


def values(points: list[tuple[dict[str, Any], Any]], label: str) -> set[Any]:
    return {labels[label] for labels, _ in points if label in labels}
