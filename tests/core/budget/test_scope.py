"""`router.budget(...)` as its users meet it."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from tests.core.budget.parts import answer, card, router, step

from taskrouter import (
    AllAttemptsFailedError,
    BudgetExceededError,
    ConfigurationError,
    NoEligibleModelError,
    Router,
    Step,
)

MOST = 0.00001
"""What `parts.step` may cost at most: 2 tokens of input, with the margin, and 8 of output, at $1 a million."""
COST = 0.000004


class Calls:
    """A provider that counts its calls; every answer costs `COST`."""

    def __init__(self) -> None:
        self.models: list[str] = []

    def __call__(self, model: str) -> Any:
        self.models.append(model)
        return answer()

    async def later(self, model: str) -> Any:
        await asyncio.sleep(0)
        return self(model)


def test_what_a_step_costs_is_spent_from_the_budget_that_holds_there() -> None:
    shared, calls = router(), Calls()
    with shared.budget(usd=1.0, tokens=1000, steps=5) as budget:
        outcome = shared.run(step(), calls)
    assert (budget.spent_usd, budget.spent_tokens, budget.steps_taken) == (outcome.cost_usd, 4, 1)
    assert (budget.limit_usd, budget.held_usd) == (1.0, 0.0)
    assert budget.remaining_usd == pytest.approx(1.0 - COST, abs=1e-12)
    assert repr(budget) == "Budget(this budget: $0.000004 of $1 spent, 1 steps)"
    shared.run(step(), calls)
    assert budget.steps_taken == 1, "the block has ended"


def test_what_does_not_fit_is_refused_before_the_call_with_the_numbers() -> None:
    shared, calls = router(), Calls()
    with shared.budget(usd=0.000012) as budget:
        shared.run(step(), calls)
        with pytest.raises(BudgetExceededError) as refused:
            shared.run(step(), calls)
    assert str(refused.value) == (
        "this budget has $0.000008 of $0.000012 left ($0.000004 spent), and a call of 'm' may need $0.00001; "
        "raise `usd`, or end here"
    )
    error = refused.value
    assert (error.limit, error.budget, error.spent_usd, error.limit_usd) == ("usd", "this budget", 0.000004, 0.000012)
    assert calls.models == ["m"]
    assert budget.spent_usd == COST


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (
            {"tokens": 13},
            "this budget has 9 of 13 tokens left (4 tokens spent), and a call of 'm' may need 10 tokens; raise "
            "`tokens`, or end here",
        ),
        ({"steps": 1}, "this budget has 0 of 1 steps left (1 steps spent); raise `steps`, or end here"),
    ],
    ids=["tokens", "steps"],
)
def test_tokens_and_steps_are_limited_in_the_same_way(limits: dict[str, Any], said: str) -> None:
    shared, calls = router(), Calls()
    with shared.budget(**limits):
        shared.run(step(), calls)
        with pytest.raises(BudgetExceededError) as refused:
            shared.run(step(), calls)
    assert (str(refused.value), refused.value.limit) == (said, next(iter(limits)))
    assert refused.value.limit_usd == math.inf
    assert calls.models == ["m"]


def test_of_several_models_that_do_not_fit_the_error_speaks_of_the_cheapest() -> None:
    shared = router(card("large", 100.0), card("small", 1.0), card("medium", 10.0))
    with shared.budget(usd=0.000001), pytest.raises(BudgetExceededError, match="a call of 'small' may need"):
        shared.route(step())


def test_a_model_that_does_not_fit_is_left_out_and_the_decision_says_why() -> None:
    shared = router(card("large", 100.0), card("small", 1.0))
    with shared.budget(usd=0.0005):
        decision = shared.route(step())
    assert decision.model == "small"
    assert [(rejection.model, rejection.code) for rejection in decision.rejected] == [("large", "budget")]
    assert decision.rejected[0].detail == (
        "this budget has $0.0005 of $0.0005 left ($0 spent), and a call of 'large' may need $0.001; raise `usd`, or "
        "end here"
    )


def test_near_its_end_a_budget_presses_for_cheaper_models() -> None:
    quality = {"chat": {"mean": 0.9, "source": "a test"}}
    less = {"chat": {"mean": 0.85, "source": "a test"}}
    shared = router(card("large", 1.0, quality=quality), card("small", 0.1, quality=less), policy={"quality": 1.0})
    with shared.budget(usd=0.0001) as budget:
        reasons = []
        while budget.remaining_usd and budget.remaining_usd > MOST:
            outcome = shared.run(step(), lambda model: answer(2, 8))
            reasons.append((outcome.decision.reason, outcome.model))
    switched = reasons.index(("budget_pressure", "small"))
    assert switched >= 5, "half of it is spent without pressure"
    assert all(reason == reasons[0] for reason in reasons[:switched])
    assert reasons[0][1] == "large"
    assert all(model == "small" for _, model in reasons[switched:])


def test_a_model_without_a_price_cannot_be_paid_from_a_budget_of_money() -> None:
    shared = router(card("mystery", None), card("m"))
    with shared.budget(usd=1.0):
        decision = shared.route(step())
        assert decision.model == "m"
        assert decision.rejected[0].detail == (
            "this budget is in US dollars, and the price of 'mystery' is unknown: set input_usd_per_million and "
            "output_usd_per_million in its card"
        )
    with shared.budget(tokens=1000) as budget:
        assert shared.run(step(), Calls()).model == "mystery"
        assert (budget.spent_tokens, budget.spent_usd) == (4, 0.0)


def test_a_pool_without_prices_says_for_every_model_why_it_cannot_be_used() -> None:
    shared = Router(
        [card("mystery", None), card("blind", regions=["us"])], "mystery", rules=[{"name": "r", "avoid": ["blind"]}]
    )
    with shared.budget(usd=1.0), pytest.raises(NoEligibleModelError) as refused:
        shared.route(step())
    assert [rejection.model for rejection in refused.value.rejections] == ["blind", "mystery"]


def test_nested_budgets_both_hold() -> None:
    shared, calls = router(), Calls()
    with shared.budget(usd=1.0) as outer:
        with shared.budget(usd=0.00001) as inner:
            shared.run(step(), calls)
            with pytest.raises(BudgetExceededError, match=r"^this budget has \$0\.000006 of \$0\.00001 left"):
                shared.run(step(), calls)
        shared.run(step(), calls)
    assert (outer.spent_usd, inner.spent_usd) == (2 * COST, COST)
    with shared.budget(steps=1) as outer, shared.budget(steps=5) as inner:
        shared.run(step(), calls)
        with pytest.raises(BudgetExceededError, match="0 of 1 steps"):
            shared.run(step(), calls)
    assert (outer.steps_taken, inner.steps_taken) == (1, 1)


def test_a_budget_can_be_entered_again_and_inside_itself() -> None:
    shared, calls = router(), Calls()
    budget = shared.budget(steps=3)
    with budget, budget:
        shared.run(step(), calls)
        assert budget.steps_taken == 1, "it is charged once"
    shared.run(step(), calls)
    with budget:
        shared.run(step(), calls)
    assert budget.steps_taken == 2


def test_budgets_of_two_routers_do_not_see_each_other() -> None:
    one, other, calls = router(), router(), Calls()
    with one.budget(steps=5) as ours, other.budget(steps=5) as theirs:
        one.run(step(), calls)
    assert (ours.steps_taken, theirs.steps_taken) == (1, 0)


def test_an_error_inside_the_block_ends_the_budget() -> None:
    shared, calls = router(), Calls()
    with pytest.raises(ZeroDivisionError), shared.budget(steps=1):
        raise ZeroDivisionError
    assert shared.run(step(), calls).status == "ok"
    assert shared.run(step(), calls).status == "ok"


def test_a_generator_may_begin_a_budget_and_be_ended_elsewhere() -> None:
    shared, calls = router(), Calls()

    def steps() -> Iterator[None]:
        with shared.budget(steps=1):
            shared.run(step(), calls)
            yield

    generator = contextvars.copy_context().run(lambda: iter(steps()))
    contextvars.copy_context().run(next, generator)
    generator.close()  # type: ignore[attr-defined] # it is a generator
    assert shared.run(step(), calls).status == "ok"


async def test_branches_of_a_task_share_the_budget() -> None:
    shared, calls = router(), Calls()

    async def branch() -> str:
        try:
            return (await shared.arun(step(), calls.later)).status
        except BudgetExceededError:
            return "refused"

    async with shared.budget(usd=5 * MOST) as budget:
        results = await asyncio.gather(*(branch() for _ in range(30)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(branch()) for _ in range(30)]
    results += [task.result() for task in tasks]
    # The last one begins with at least `MOST` left, and what is left in the end is not enough for another one.
    assert results.count("ok") == len(calls.models) == 11
    assert budget.held_usd == 0.0
    assert budget.spent_usd == pytest.approx(11 * COST)


def test_threads_that_carry_the_context_on_share_the_budget_and_others_do_not() -> None:
    shared, calls = router(), Calls()

    def branch(_: int) -> str:
        try:
            return shared.run(step(), calls).status
        except BudgetExceededError:
            return "refused"

    with ThreadPoolExecutor(8) as threads:
        with shared.budget(steps=20) as budget:
            contexts = [contextvars.copy_context() for _ in range(60)]
            results = list(threads.map(lambda context: context.run(branch, 0), contexts))
        assert (results.count("ok"), results.count("refused"), budget.steps_taken) == (20, 40, 20)
        assert list(threads.map(branch, range(5))) == ["ok"] * 5
    assert budget.steps_taken == 20


def test_a_step_waits_for_money_that_is_only_set_aside() -> None:
    shared = router(budget={"wait_s": 60.0})
    first_is_called, second_waits = threading.Event(), threading.Event()

    def slow(model: str) -> Any:
        first_is_called.set()
        assert second_waits.wait(20)
        return answer()

    with shared.budget(usd=1.5 * MOST) as budget, ThreadPoolExecutor(1) as threads:
        first = threads.submit(contextvars.copy_context().run, shared.run, step(), slow)
        assert first_is_called.wait(20)
        decision = shared.route(step())  # which fits once the first call has been settled
        second_waits.set()
        assert shared.run(step(), Calls(), decision=decision).status == "ok"
        assert first.result(20).status == "ok"
    assert budget.spent_usd == pytest.approx(2 * COST)


def test_a_step_that_need_not_wait_is_refused_with_what_is_reserved() -> None:
    shared = router(budget={"wait_s": 0.0})

    def nested(model: str) -> Any:
        with pytest.raises(BudgetExceededError) as refused:
            shared.run(step(), Calls())
        assert str(refused.value) == (
            "this budget has $0.000005 of $0.000015 left ($0 spent and $0.00001 reserved for calls under way), and a "
            "call of 'm' may need $0.00001; raise `usd`, or end here"
        )
        return answer()

    with shared.budget(usd=0.000015) as budget:
        shared.run(step(), nested)
    assert (budget.spent_usd, budget.held_usd) == (COST, 0.0)


def test_a_failed_call_settles_what_it_cost_and_the_step_counts_once() -> None:
    shared = router(card("a"), card("b"))
    with shared.budget(usd=1.0, steps=1) as budget:

        def call(model: str) -> Any:
            if model == "a":
                raise ConnectionError("reset")
            return answer()

        assert shared.run(step(), call).status == "fallback"
    assert (budget.spent_usd, budget.held_usd, budget.steps_taken) == (COST, 0.0, 1)


def test_an_answer_that_did_not_pass_has_been_paid_for() -> None:
    shared = router()
    empty = answer() | {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "stop"}]}
    with shared.budget(usd=1.0) as budget, pytest.raises(AllAttemptsFailedError):
        shared.run(step(), lambda model: empty)
    assert (budget.spent_usd, budget.held_usd) == (COST, 0.0)


async def test_a_cancelled_call_settles_its_input() -> None:
    shared = router()
    called = asyncio.Event()

    async def hang(model: str) -> Any:
        called.set()
        await asyncio.Event().wait()

    async with shared.budget(usd=1.0) as budget:
        task = asyncio.create_task(shared.arun(step(), hang))
        await called.wait()
        assert budget.held_usd == MOST
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (budget.spent_usd, budget.held_usd) == (0.000001, 0.0)


def test_a_stream_is_charged_to_the_budget_in_which_it_was_made_and_only_if_it_is_read() -> None:
    shared = router()
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}], **_usage()}
    with shared.budget(usd=1.0) as budget:
        unread = shared.run_stream(step(), lambda model: iter([chunk]))
        stream = shared.run_stream(step(), lambda model: iter([chunk]))
    unread.close()
    assert (budget.spent_usd, budget.held_usd) == (0.0, 0.0)
    assert len(list(stream)) == 1
    assert (budget.spent_usd, budget.held_usd) == (COST, 0.0)


def _usage() -> dict[str, object]:
    return {"usage": answer()["usage"]}


def test_after_the_deadline_nothing_begins() -> None:
    shared, calls = router(), Calls()
    with shared.budget(deadline_s=60.0) as budget:
        assert shared.run(step(), calls).status == "ok"
        assert budget.deadline_at_s is not None
        budget.deadline_at_s -= 61.0
        for attempt in (lambda: shared.route(step()), lambda: shared.run(step(), calls)):
            with pytest.raises(BudgetExceededError) as refused:
                attempt()
            assert str(refused.value) == "the deadline of this budget has passed; raise `deadline_s`, or end here"
            assert refused.value.limit == "deadline"
    assert calls.models == ["m"]


async def test_a_call_under_way_is_given_no_longer_than_the_deadline() -> None:
    shared = router()

    async def hang(model: str) -> Any:
        await asyncio.Event().wait()

    async with shared.budget(deadline_s=0.05):
        with pytest.raises(BudgetExceededError, match="the deadline of this budget has passed") as refused:
            await shared.arun(step(), hang)
    assert isinstance(refused.value.__cause__, AllAttemptsFailedError)


def test_a_near_deadline_presses_for_quicker_models() -> None:
    quality = {"chat": {"mean": 0.9, "source": "a test"}}
    slow = card("slow", first_token_s=20.0, output_tokens_per_s=10.0, quality=quality)
    quick = card("quick", first_token_s=0.1, output_tokens_per_s=1000.0, quality={"chat": {"mean": 0.8, "source": "t"}})
    shared = router(slow, quick, policy={"quality": 1.0})
    with shared.budget(deadline_s=100.0) as budget:
        assert shared.route(step()).model == "slow"
        assert budget.deadline_at_s is not None
        budget.deadline_at_s -= 92.0
        decision = shared.route(step())
    assert (decision.model, decision.reason) == ("quick", "deadline_pressure")


def test_a_deadline_counts_from_the_first_time_the_block_is_entered() -> None:
    budget = router().budget(deadline_s=60.0)
    assert budget.time_left_s() is None
    with budget:
        began = budget.deadline_at_s
    with budget:
        assert budget.deadline_at_s == began


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "budget() limits nothing: give at least one of usd, tokens, steps, deadline_s"),
        ({"key": "k"}, "budget() limits nothing: give at least one of usd, tokens, steps, deadline_s"),
        ({"usd": 0}, "budget(usd=0): it must be a number above zero"),
        ({"usd": -1.5}, "budget(usd=-1.5): it must be a number above zero"),
        ({"usd": math.nan}, "budget(usd=nan): it must be a number above zero"),
        ({"usd": math.inf}, "budget(usd=inf): it must be a number above zero"),
        ({"usd": True}, "budget(usd=True): it must be a number above zero"),
        ({"usd": "1.00"}, "budget(usd='1.00'): it must be a number above zero"),
        ({"usd": Decimal(0)}, "budget(usd=Decimal('0')): it must be a number above zero"),
        ({"usd": 1 + 0j}, "budget(usd=(1+0j)): it must be a number above zero"),
        ({"tokens": 1.5}, "budget(tokens=1.5): it must be a whole number above zero"),
        ({"tokens": True}, "budget(tokens=True): it must be a whole number above zero"),
        ({"steps": 0}, "budget(steps=0): it must be a whole number above zero"),
        ({"steps": "3"}, "budget(steps='3'): it must be a whole number above zero"),
        ({"deadline_s": -1}, "budget(deadline_s=-1): it must be a number above zero"),
        ({"deadline_s": True}, "budget(deadline_s=True): it must be a number above zero"),
        ({"deadline_s": "1 min"}, "budget(deadline_s='1 min'): it must be a number above zero"),
        ({"usd": 1, "key": ""}, "budget(key=''): it must be text, such as the name of a job"),
        ({"usd": 1, "key": 7}, "budget(key=7): it must be text, such as the name of a job"),
    ],
    ids=str,
)
def test_a_limit_that_is_none_is_one_clear_error(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        router().budget(**given)
    assert str(refused.value) == said


def test_numbers_of_any_kind_are_taken() -> None:
    assert router().budget(usd=Decimal("0.10")).limit_usd == 0.1  # type: ignore[arg-type] # it works all the same
    assert router().budget(usd=1).limit_usd == 1.0
    assert router().budget(usd=1e-12).limit_usd == 1e-9, "a nano-dollar is the least"


def test_blocks_of_the_same_key_draw_on_the_same_amounts_also_inside_each_other() -> None:
    shared, calls = router(), Calls()
    with shared.budget(steps=4, key="job"), shared.budget(steps=2, key="job") as budget:
        shared.run(step(), calls)
        assert budget.steps_taken == 1, "one account is charged once"
        shared.run(step(), calls)
        with pytest.raises(BudgetExceededError, match=r"^the budget 'job' has 0 of 2 steps left"):
            shared.run(step(), calls)
    with shared.budget(steps=4, key="job") as budget:
        shared.run(step(), calls)
        assert budget.steps_taken == 3
    with shared.budget(steps=1, key="another") as budget:
        shared.run(step(), calls)
    assert budget.steps_taken == 1


def test_a_request_for_several_answers_sets_several_aside() -> None:
    paid = Router([{"id": "a", "input_usd_per_million": 0.0, "output_usd_per_million": 1.0}])
    held = []

    def call(model: str) -> str:
        held.append(budget.held_usd)
        return "yes"

    for answers in (1, 3):
        payload = {"n": answers, "max_tokens": 100}
        with paid.budget(usd=1.0) as budget:
            paid.run(Step(messages=[{"role": "user", "content": "Rain?"}], payload=payload), call)
    assert held == pytest.approx([100e-6, 300e-6])


@pytest.mark.parametrize("limits", [{"usd": 1e300}, {"usd": 10**400}, {"tokens": 10**400}, {"usd": Decimal("sNaN")}])
def test_a_limit_beyond_all_amounts_is_one_clear_error(limits: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"budget\(\)?.*(usd|tokens)"):
        router().budget(**limits)
