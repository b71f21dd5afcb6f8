"""Budgets of `[budget]`: for every run, conversation and tenant, and for all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.core.budget.parts import answer, card, router, step

from taskrouter import BudgetExceededError, Router
from taskrouter.budget.book import window_of

ONE = {"steps": 1}


def spend(router: Router, **context: str) -> str:
    """Make a step; return what the budget says that refuses it, or nothing."""
    try:
        router.run(step(**context), lambda model: answer())
    except BudgetExceededError as refused:
        return refused.budget
    return ""


@pytest.mark.parametrize(
    ("section", "field", "said"),
    [
        ("run", "run_id", "this run's budget"),
        ("session", "session_id", "this session's budget"),
        ("tenant", "tenant", "the budget of tenant 'a'"),
    ],
)
def test_every_run_conversation_and_tenant_has_a_budget_of_its_own(section: str, field: str, said: str) -> None:
    shared = router(budget={section: ONE})
    assert [spend(shared, **{field: "a"}), spend(shared, **{field: "b"}), spend(shared, **{field: "a"})] == [
        "",
        "",
        said,
    ]
    assert [spend(shared), spend(shared)] == ["", ""], "whose steps are not known draw on none"


def test_a_tenant_of_its_own_limits_has_only_those() -> None:
    shared = router(budget={"tenant": ONE, "tenants": {"large": {"steps": 3}, "": ONE}})
    assert [spend(shared, tenant="large") for _ in range(4)] == ["", "", "", "the budget of tenant 'large'"]
    assert [spend(shared, tenant="small") for _ in range(2)] == ["", "the budget of tenant 'small'"]
    assert [spend(router(budget={"tenants": {"large": ONE}}), tenant="other") for _ in range(2)] == ["", ""]


def test_the_total_holds_for_everything_and_all_budgets_at_once() -> None:
    shared = router(budget={"total": {"steps": 3}, "run": {"steps": 2}})
    assert [spend(shared, run_id="a") for _ in range(3)] == ["", "", "this run's budget"]
    assert [spend(shared), spend(shared)] == ["", "the total budget"]
    with shared.budget(steps=5) as budget:
        assert spend(shared) == "the total budget"
    assert budget.steps_taken == 0


def test_a_run_of_any_name_has_a_budget() -> None:
    shared = router(budget={"run": ONE})
    for name in ("", " ", "a:b", "\ud800", "\n", "x" * 100_000, "x" * 99_999 + "y"):
        assert [spend(shared, run_id=name), spend(shared, run_id=name)] == ["", "this run's budget"], repr(name[:9])


def test_a_window_begins_anew() -> None:
    clock = Clock(datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC))
    routers = [router(budget={"total": {"steps": 1, "every": every}}) for every in ("hour", "day", "month")]
    routers.append(router(budget={"total": ONE}))
    for each in routers:
        each._budgets._clock = clock

    def spending() -> list[str]:
        return [spend(each) for each in routers]

    refused = "the total budget"
    assert spending() == ["", "", "", ""]
    clock.now_s += 1
    assert spending() == [refused] * 4
    clock.now_s += 1
    assert spending() == ["", "", "", refused]
    clock.now_s += 3599
    assert spending() == [refused] * 4
    clock.now_s += 1
    assert spending() == ["", refused, refused, refused]
    clock.now_s += 24 * 3600
    assert spending() == ["", "", refused, refused]
    clock.now_s += 31 * 86_400
    assert spending() == ["", "", "", refused]


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now_s = now.timestamp()

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("every", "at", "name", "until"),
    [
        ("hour", "2026-03-29T01:30:00+01:00", "2026-03-29T00", "2026-03-29T01:00:00+00:00"),
        ("day", "2024-02-28T23:59:59+00:00", "2024-02-28", "2024-02-29T00:00:00+00:00"),
        ("month", "2024-02-01T00:00:00+00:00", "2024-02", "2024-03-01T00:00:00+00:00"),
        ("month", "2026-12-31T23:59:59+00:00", "2026-12", "2027-01-01T00:00:00+00:00"),
        ("month", "2026-01-31T12:00:00+00:00", "2026-01", "2026-02-01T00:00:00+00:00"),
    ],
)
def test_windows_are_those_of_utc(every: str, at: str, name: str, until: str) -> None:
    window = window_of(every, datetime.fromisoformat(at).timestamp())
    assert (window.name, window.until_s) == (name, datetime.fromisoformat(until).timestamp())


def test_a_call_that_began_in_one_window_is_settled_there() -> None:
    clock = Clock(datetime(2026, 5, 1, 10, 59, 59, tzinfo=UTC))
    shared = router(budget={"total": {"steps": 2, "every": "hour"}})
    shared._budgets._clock = clock

    def call(model: str) -> Any:
        clock.now_s += 2
        return answer()

    shared.run(step(), call)
    assert [spend(shared), spend(shared), spend(shared)] == ["", "", "the total budget"]


def test_what_a_request_may_cost_follows_its_own_limit_or_the_expected_length() -> None:
    shared = router(card("m", max_output_tokens=1000), budget={"output_margin": 2.0})
    expected = shared.route(step()).profile
    with shared.budget(tokens=1_000_000) as budget:
        seen = []

        def call(model: str) -> Any:
            seen.append(sum(budget.used("tokens")) - before)
            return answer()

        for payload in ({"max_tokens": 8}, {"max_completion_tokens": 5}, {}):
            before = budget.spent_tokens
            asked = step()
            object.__setattr__(asked, "payload", payload)
            shared.run(asked, call)
    inputs = 2
    assert seen == [inputs + 8, inputs + 5, inputs + min(1000, 2 * expected.output_tokens)]
