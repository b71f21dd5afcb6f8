"""The figures of `taskrouter top`: windows, money net of all that was paid, shares and percentiles."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.cli.routed import CARDS

from taskrouter.cli.passing import Passing, known_sum, quantile
from taskrouter.ledger import Event, Pool, Record

NOW_S = 1_000_000.0


def record(number: int, *, ago_s: float = 10.0, **changes: Any) -> Record:
    """A step that `small` has answered for a tenth of what `large` would have cost."""
    call = {
        "model": "small",
        "status": "ok",
        "cost_usd": 0.0011,
        "latency_s": 0.5,
        "input_tokens": 1000,
        "output_tokens": 100,
        "taken": True,
    }
    outcome = {"status": "ok", "model": "small", "cost_usd": 0.0011, "latency_s": 0.6, "calls": [call]}
    return Record.model_validate(
        {
            "v": 1,
            "id": f"dec_{number:016x}",
            "at_s": NOW_S - ago_s,
            "identity": "clerk/extract",
            "policy_version": "one",
            "incumbent": "large",
            "plan": {"models": ["small"]},
            **changes,
            "outcome": {**outcome, **changes.get("outcome", {})},
        }
    )


def passing(*records: Record, kept: int = 1000) -> Passing:
    found = Passing(kept)
    found.pools = {"one": Pool(incumbent="large", models={card.id: card for card in CARDS})}
    found.add(records, NOW_S)
    return found


def test_each_minute_counts_what_came_within_it_and_the_hour_all() -> None:
    found = passing(*(record(n, ago_s=ago_s) for n, ago_s in enumerate([5000.0, 3000.0, 200.0, 30.0, 10.0])))
    assert [found.totals(minutes, NOW_S).steps for minutes in (1, 5, 60)] == [2, 3, 4]


def test_what_is_known_of_a_cost_is_spent_in_all_figures_alike() -> None:
    failed = {"model": "mystery", "status": "failed", "cost_usd": None}
    call = {"model": "small", "status": "ok", "cost_usd": 0.0011, "taken": True}
    found = passing(record(1, outcome={"cost_usd": None, "calls": [failed, call]}))
    totals = found.totals(60, NOW_S)
    assert (totals.spent_usd, totals.unpriced, totals.saving) == (0.0011, 1, None)
    assert [row.spent_usd for row in found.by_model()] == [0.0011, None]


def test_nothing_is_saved_by_a_step_that_was_given_up() -> None:
    found = passing(record(1), record(2, outcome={"status": "cancelled"}))
    assert found.totals(60, NOW_S).saving == pytest.approx(1 - 2 * 0.0011 / 0.011)
    assert found.baseline_usd(record(2, outcome={"status": "cancelled"})) is None


def test_a_step_that_is_read_twice_counts_once() -> None:
    found = passing(record(1))
    assert found.add([record(1), record(2)], NOW_S) == [record(2)]
    assert found.totals(60, NOW_S).steps == 2


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    found = passing(record(1), record(2))
    found.add([], NOW_S + 3601.0)
    assert found.newest(10) == []
    assert found.add([record(1)], NOW_S) == [record(1)]


def test_the_saving_is_net_of_trials_failures_and_what_nobody_answered() -> None:
    trial = record(2, policy="trial", outcome={"cost_usd": 0.0022})
    lost = record(3, outcome={"status": "exhausted", "model": None, "cost_usd": 0.0011, "calls": []})
    totals = passing(record(1), trial, lost).totals(1, NOW_S)
    assert totals.saving == pytest.approx(1 - (0.0011 + 0.0022 + 0.0011) / 0.011)
    assert totals.spent_usd == pytest.approx(0.0044)
    assert totals.trials_usd == pytest.approx(0.0022)
    assert (totals.steps, totals.answered) == (2, 1)


def test_an_unknown_price_is_unknown_and_never_zero() -> None:
    unpriced = record(1, outcome={"cost_usd": None, "calls": [{"model": "small", "taken": True}]})
    alone = passing(unpriced).totals(1, NOW_S)
    assert (alone.spent_usd, alone.saving, alone.unpriced) == (None, None, 1)
    both = passing(unpriced, record(2)).totals(1, NOW_S)
    assert (both.spent_usd, both.unpriced) == (0.0011, 1)
    assert both.saving == pytest.approx(0.9)


def test_without_the_pool_nothing_is_said_of_the_saving() -> None:
    assert passing(record(1, policy_version="another")).totals(1, NOW_S).saving is None


def test_what_the_caller_gave_up_is_neither_an_error_nor_a_success() -> None:
    gave_up = record(2, outcome={"status": "cancelled"})
    failed = record(3, outcome={"status": "exhausted", "model": None})
    fell_back = record(4, outcome={"status": "fallback", "model": "large"})
    totals = passing(record(1), gave_up, failed, fell_back).totals(1, NOW_S)
    assert totals.errors == totals.fallbacks == pytest.approx(1 / 3)
    assert passing(gave_up).totals(1, NOW_S).errors is None


def test_models_are_told_apart_by_their_calls() -> None:
    calls = [
        {"model": "small", "status": "failed", "error_type": "timeout", "cost_usd": 0.0},
        {"model": "large", "status": "ok", "cost_usd": 0.011, "latency_s": 2.0, "taken": True},
    ]
    fell_back = record(2, outcome={"status": "fallback", "model": "large", "cost_usd": 0.011, "calls": calls})
    large, small = passing(record(1), fell_back).by_model()
    assert (large.model, large.answers, large.calls, large.failed, large.spent_usd) == ("large", 1, 1, 0, 0.011)
    assert (small.model, small.answers, small.calls, small.failed, small.p50_s) == ("small", 1, 2, 1, 0.5)


def test_more_than_is_kept_is_cut_and_said() -> None:
    found = passing(*(record(number) for number in range(5)), kept=3)
    assert [one.id for one in found.newest(3)] == [record(number).id for number in (4, 3, 2)]
    assert (found.totals(60, NOW_S).steps, found.cut) == (3, True)
    found.add([], NOW_S + 4000.0)
    assert not found.cut


def test_a_breaker_is_open_until_it_is_heard_to_be_closed_or_an_hour_has_passed() -> None:
    def event(endpoint: str, state: str, ago_s: float) -> Event:
        return Event.model_validate({"kind": "breaker", "at_s": NOW_S - ago_s, "endpoint": endpoint, "state": state})

    found = passing()
    found.told(
        [event("a", "open", 60.0), event("b", "open", 50.0), event("c", "down", 5000.0), event("d", "down", 9.0)]
    )
    found.told([event("a", "closed", 10.0), Event(kind="refused", at_s=NOW_S)])
    assert [event.endpoint for event in found.open_breakers(NOW_S)] == ["d", "b"]


def test_answers_by_another_model_than_was_asked_are_counted() -> None:
    def served(name: str) -> dict[str, Any]:
        call = {"model": "small", "status": "ok", "served": name, "taken": True}
        return {"calls": [call]}

    found = passing(*(record(n, outcome=served(name)) for n, name in enumerate(["small", "small-2025-01-01", "tiny"])))
    assert found.served_other == 1


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([3.0], 0.95, 3.0), ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0), ([*map(float, range(1, 101))], 0.95, 95.0)],
)
def test_a_quantile_is_a_value_that_was_seen(values: list[float], share: float, expected: float | None) -> None:
    assert quantile(values, share) == expected


def test_the_sum_of_nothing_is_zero_and_of_unknowns_unknown() -> None:
    assert (known_sum([]), known_sum([None]), known_sum([None, 1.0])) == (0.0, None, 1.0)
