"""Budgets and privacy: what must not be sent is not sent, whatever fails."""

from __future__ import annotations

from typing import Any

import pytest
from tests.adapters.contract import Bench, Pair, Way, chain
from tests.standins.brain import GREETING

from taskrouter import AllAttemptsFailedError, BudgetExceededError, NoEligibleModelError

HERE, THERE = "eu", "us"


async def test_a_budget_refuses_a_call_before_it_is_made(bench: Bench, way: Way, pair: Pair) -> None:
    routed = bench.routed(pair)
    with routed.router.budget(usd=1e-9) as budget, pytest.raises(BudgetExceededError):
        await bench.ask(routed, way)
    assert bench.asked == []
    assert (budget.spent_usd, budget.held_usd) == (0, 0)


async def test_a_budget_is_charged_what_was_used(bench: Bench, way: Way, pair: Pair) -> None:
    bench.vendors.fail(pair[0].model, "unavailable")
    routed = bench.routed(pair)
    async with routed.router.budget(usd=1.0) as budget:
        await bench.ask(routed, way)
    assert budget.spent_usd == pytest.approx(bench.outcome.cost_usd)
    assert (budget.steps_taken, budget.held_usd) == (1, 0)


async def test_a_run_has_its_own_budget(bench: Bench, way: Way, pair: Pair) -> None:
    routed = bench.routed(pair, budget={"run": {"steps": 2}})
    for _ in range(2):
        await bench.ask(routed, way, bench.request(declared={"run_id": "one"}))
    with pytest.raises(BudgetExceededError, match="2 steps"):
        await bench.ask(routed, way, bench.request(declared={"run_id": "one"}))
    await bench.ask(routed, way, bench.request(declared={"run_id": "another"}))
    assert bench.asked == [pair[0].model] * 3


REGION = {"name": "stays here", "when": {"tenant": "acme"}, "regions": [HERE]}


@pytest.mark.parametrize("rule", ["regions", "use", "require_tags"])
async def test_a_private_step_goes_only_where_it_may(bench: Bench, way: Way, pair: Pair, rule: str) -> None:
    home, away = pair
    routed = bench.routed((away, home), **private(rule, home.id, away.id))
    assert (await bench.ask(routed, way)).text == GREETING
    assert (await bench.ask(routed, way, bench.request(declared={"tenant": "acme"}))).text == GREETING
    assert bench.asked == [away.model, home.model]


@pytest.mark.parametrize("rule", ["regions", "use", "require_tags"])
@pytest.mark.parametrize("incumbent", ["home", "away"])
async def test_a_private_step_goes_nowhere_else_though_its_place_is_dead(
    bench: Bench, way: Way, pair: Pair, rule: str, incumbent: str
) -> None:
    home, away = pair
    bench.vendors.fail(home.model, "unavailable")
    order = (home, away) if incumbent == "home" else (away, home)
    routed = bench.routed(order, **private(rule, home.id, away.id))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each framework's own
        await bench.ask(routed, way, bench.request(declared={"tenant": "acme"}))
    assert any(isinstance(error, AllAttemptsFailedError) for error in chain(caught.value))
    assert bench.asked == [home.model]


async def test_a_private_step_that_may_go_nowhere_is_not_sent(bench: Bench, way: Way, pair: Pair) -> None:
    routed = bench.routed(pair, rules=[REGION])
    with pytest.raises(NoEligibleModelError, match="must be served in eu"):
        await bench.ask(routed, way, bench.request(declared={"tenant": "acme"}))
    assert bench.asked == []


async def test_a_model_that_a_call_names_does_not_loosen_a_rule(bench: Bench, way: Way, pair: Pair) -> None:
    home, away = pair
    routed = bench.routed(pair, **private("regions", home.id, away.id))
    with pytest.raises(NoEligibleModelError):
        await bench.ask(routed, way, bench.request(declared={"tenant": "acme", "model": away.id}))
    assert bench.asked == []


def private(rule: str, home: str, away: str) -> dict[str, Any]:
    """Return a configuration by which steps of one tenant stay at home."""
    demand = {"regions": [HERE], "use": [home], "require_tags": ["private"]}[rule]
    return {
        "rules": [{"name": "stays at home", "when": {"tenant": "acme"}, rule: demand}],
        "facts": {home: {"regions": [HERE], "tags": ["private"]}, away: {"regions": [THERE]}},
    }
