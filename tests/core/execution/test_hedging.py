"""A slow answer is asked of a second model too: the first good one is taken."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.core.execution.books import AccessBook, ObserverBook, WalletBook, balanced, refusal
from tests.core.execution.scripts import MODELS, cards, engine, text
from tests.core.execution.worlds import Told

from taskrouter import AllAttemptsFailedError, ConfigurationError, Outcome, ResponseView, Router, Step
from taskrouter import errors as e
from taskrouter.config import ExecutionConfig, GatesConfig
from taskrouter.execution import Gate, drive, drive_async
from taskrouter.execution.commands import Call, Start

STEP = Step(messages=[{"role": "user", "content": "hello"}])
USUAL_S = 1.0


class Books:
    """A step that may be hedged, its books kept."""

    def __init__(
        self, *models: str, wallet: WalletBook | None = None, gate: Gate | None = None, **settings: Any
    ) -> None:
        self.access, self.wallet, self.observer = AccessBook(MODELS), wallet, ObserverBook()
        self.access.usual_s = USUAL_S
        self.engine = engine(
            *models,
            settings=ExecutionConfig(**{"hedge_quantile": 0.9, "retries": 0, **settings}),
            pool=cards(),
            access=self.access,
            wallet=wallet,
            observer=self.observer,
            gate=gate,
        )

    def play(self, **answers: list[tuple[float, ResponseView | Exception]]) -> Told:
        return Told(self.engine.answer(), answers)

    def attempts(self) -> list[tuple[str, str, str]]:
        return [(a.model, a.role, a.status) for a in balanced(self.access, self.wallet, self.observer)]


def test_a_quick_answer_is_not_hedged() -> None:
    books = Books()
    play = books.play(first=[(0.5, text("quick"))])
    assert play.outcome.text == "quick"
    assert books.attempts() == [("first", "primary", "ok")]


def test_a_slow_answer_is_asked_of_the_next_model_and_the_first_one_wins() -> None:
    books = Books()
    play = books.play(first=[(9.0, text("slow"))], second=[(0.5, text("quick"))])
    assert (play.outcome.text, play.outcome.model, play.outcome.status) == ("quick", "second", "ok")
    assert play.now_s == pytest.approx(USUAL_S + 0.5)
    assert books.attempts() == [("first", "primary", "cancelled"), ("second", "hedge", "ok")]
    assert play.outcome.attempts[0].cost_usd > 0, "its provider has been asked"


def test_the_first_model_may_still_win() -> None:
    books = Books()
    play = books.play(first=[(2.0, text("slow"))], second=[(5.0, text("slower"))])
    assert play.outcome.text == "slow"
    assert books.attempts() == [("first", "primary", "ok"), ("second", "hedge", "cancelled")]


def test_a_first_call_that_fails_leaves_its_hedge_running() -> None:
    books = Books()
    play = books.play(first=[(2.0, e.ServerFailed("first"))], second=[(5.0, text("hi"))])
    assert play.outcome.text == "hi"
    assert books.attempts() == [("first", "primary", "failed"), ("second", "hedge", "ok")]
    assert [type(visit.endings[0][1]) for visit in books.observer.visits] == [e.ServerFailed, type(None)]


def test_a_hedge_that_fails_leaves_the_first_call_running() -> None:
    books = Books()
    play = books.play(first=[(9.0, text("hi"))], second=[(1.0, e.BadRequest("second"))])
    assert play.outcome.text == "hi"
    assert books.attempts() == [("first", "primary", "ok"), ("second", "hedge", "failed")]


def test_where_both_fail_each_visit_ends_with_its_own_error_and_the_step_goes_on() -> None:
    books = Books()
    play = books.play(first=[(2.0, e.Timeout("first"))], second=[(5.0, e.Refused("second"))], third=[(0.1, text("hi"))])
    assert play.outcome.text == "hi"
    assert books.attempts() == [
        ("first", "primary", "failed"),
        ("second", "hedge", "failed"),
        ("third", "fallback", "ok"),
    ]
    assert [type(visit.endings[0][1]) for visit in books.observer.visits] == [e.Timeout, e.Refused, type(None)]


def test_a_hedge_whose_failure_may_pass_keeps_its_turn() -> None:
    books = Books("first", "second")
    play = books.play(first=[(2.0, e.Timeout("first"))], second=[(2.0, e.Overloaded("second")), (0.1, text("hi"))])
    assert play.outcome.text == "hi"
    assert books.attempts()[1:] == [("second", "hedge", "failed"), ("second", "fallback", "ok")]


def test_a_retry_is_decided_by_the_first_calls_failure_not_by_its_hedges() -> None:
    books = Books("first", "second", retries=1)
    play = books.play(
        first=[(2.0, e.ServerFailed("first")), (0.1, text("hi"))], second=[(5.0, e.Unauthenticated("second"))]
    )
    assert play.outcome.text == "hi"
    assert books.attempts()[-1] == ("first", "primary", "ok")


def test_a_request_that_both_find_wrong_is_not_tried_on_a_third() -> None:
    books = Books()
    play = books.play(first=[(2.0, e.BadRequest("first"))], second=[(5.0, e.BadRequest("second"))])
    assert isinstance(play.error, AllAttemptsFailedError)
    assert len(books.attempts()) == 2


def test_a_local_failure_of_a_hedge_does_not_end_the_step() -> None:
    books = Books()
    play = books.play(first=[(5.0, text("hi"))], second=[(0.1, TypeError())])
    assert play.outcome.text == "hi"


def test_both_calls_have_their_own_time() -> None:
    books = Books("first", "second", timeout_s=4.0)
    play = books.play(first=[(99.0, text("x"))], second=[(99.0, text("y"))])
    assert isinstance(play.error, AllAttemptsFailedError)
    assert [a.error_type for a in play.error.attempts] == ["timeout", "timeout"]
    assert [a.latency_s for a in play.error.attempts] == [pytest.approx(4.0), pytest.approx(4.0)]
    assert play.now_s == pytest.approx(USUAL_S + 4.0)
    assert play.running == {}


def test_a_step_limit_does_not_cut_a_running_call_short_of_it() -> None:
    books = Books("first", "second", timeout_s=60.0, step_timeout_s=10.0)
    play = books.play(first=[(9.5, text("in time"))], second=[(6.0, e.ServerFailed("second"))])
    assert play.outcome.text == "in time"


def test_no_hedge_beyond_the_number_of_attempts() -> None:
    books = Books(max_attempts=1)
    play = books.play(first=[(9.0, text("slow"))])
    assert play.outcome.text == "slow"
    assert not any(isinstance(c, Start) for c in play.commands)


def test_no_hedge_where_no_other_model_is_left() -> None:
    books = Books("first")
    play = books.play(first=[(9.0, text("slow"))])
    assert not any(isinstance(c, Start) for c in play.commands)


def test_no_hedge_where_too_little_is_known_of_the_models_latency() -> None:
    books = Books()
    books.access.usual_s = None
    play = books.play(first=[(9.0, text("slow"))])
    assert [type(c) for c in play.commands] == [Call]


def test_a_hedge_that_does_not_fit_the_budget_is_not_made_nor_waited_for() -> None:
    books = Books("first", "second", wallet=WalletBook(None, refusal(may_pass=True), wait_s=2.0))
    play = books.play(first=[(9.0, e.Timeout("first"))], second=[(0.1, text("hi"))])
    assert play.outcome.text == "hi"
    assert play.now_s == pytest.approx(9.1, abs=0.01)
    assert books.attempts() == [("first", "primary", "failed"), ("second", "fallback", "ok")]


def test_a_budget_too_small_for_a_hedge_is_not_what_a_failed_step_is_blamed_on() -> None:
    books = Books("first", "second", wallet=WalletBook(None, refusal()))
    play = books.play(first=[(9.0, e.Timeout("first"))], second=[(0.1, e.Timeout("second"))])
    assert isinstance(play.error, AllAttemptsFailedError)


def test_a_validator_that_raises_ends_the_other_call_too() -> None:
    def broken(step: Step, view: ResponseView) -> bool:
        raise KeyError

    books = Books(gate=Gate(GatesConfig(validator_error="raise"), {"mine": broken}))
    play = books.play(first=[(9.0, text("slow"))], second=[(0.5, text("quick"))])
    assert isinstance(play.error, ConfigurationError)
    assert books.attempts() == [("first", "primary", "cancelled"), ("second", "hedge", "ok")]


# --- with the drivers -----------------------------------------------------------------------------------------------

SOON_S = 0.01


def soon(*models: str, **settings: Any) -> Books:
    books = Books(*models, **settings)
    books.access.usual_s = SOON_S
    return books


def view(endpoint_id: str, native: str) -> ResponseView:
    return text(native)


async def run(books: Books, call: Callable[[str], Awaitable[str]]) -> Outcome[Any]:
    return await drive_async(books.engine.answer(), lambda command: call(command.model), view)


async def test_the_loser_is_cancelled_and_its_connection_closed_before_the_answer_is_returned() -> None:
    closed: list[str] = []

    async def call(model: str) -> str:
        if model == "second":
            return "quick"
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(model)
        return "never"

    books = soon()
    outcome = await run(books, call)
    assert (outcome.response, closed) == ("quick", ["first"])
    assert books.attempts() == [("first", "primary", "cancelled"), ("second", "hedge", "ok")]


async def test_a_cancelled_step_cancels_both_calls() -> None:
    called: list[str] = []
    closed: list[str] = []
    both = asyncio.Event()

    async def call(model: str) -> str:
        called.append(model)
        if len(called) == 2:
            both.set()
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(model)
        return "never"

    books = soon()
    task = asyncio.create_task(run(books, call))
    await both.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(closed) == ["first", "second"]
    assert books.attempts() == [("first", "primary", "cancelled"), ("second", "hedge", "cancelled")]


async def test_a_coroutine_that_is_thrown_away_cancels_its_calls_and_waits_for_nothing() -> None:
    closed = asyncio.Event()

    async def call(model: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            closed.set()
        return "never"

    books = soon()
    running = run(books, call)
    running.send(None)
    await asyncio.sleep(0)
    running.close()
    await closed.wait()
    assert books.attempts() == [("first", "primary", "cancelled")]


async def test_async_calls_that_hang_both_run_out_of_time() -> None:
    async def call(model: str) -> str:
        await asyncio.Event().wait()
        return "never"

    books = soon("first", "second", timeout_s=0.05)
    with pytest.raises(AllAttemptsFailedError):
        await run(books, call)
    assert books.attempts() == [("first", "primary", "failed"), ("second", "hedge", "failed")]


def test_threads_take_the_first_answer_and_throw_the_other_away() -> None:
    release, finished = threading.Event(), threading.Event()

    def call(command: Call) -> str:
        if command.model == "second":
            return "quick"
        assert release.wait(60)
        finished.set()
        return "late"

    books = soon()
    outcome = drive(books.engine.answer(), call, view)
    assert outcome.response == "quick"
    assert not finished.is_set()
    release.set()
    assert finished.wait(60)
    assert books.attempts() == [("first", "primary", "cancelled"), ("second", "hedge", "ok")]


def test_threads_that_hang_run_out_of_time() -> None:
    release = threading.Event()

    def call(command: Call) -> str:
        assert release.wait(60)
        return "late"

    books = soon("first", "second", timeout_s=0.05)
    try:
        with pytest.raises(AllAttemptsFailedError) as caught:
            drive(books.engine.answer(), call, view)
        assert [a.error_type for a in caught.value.attempts] == ["timeout", "timeout"]
    finally:
        release.set()
    books.attempts()


def test_what_is_no_failure_of_a_call_is_raised_where_the_step_was_asked_for() -> None:
    class Gone(BaseException):
        pass

    def call(command: Call) -> str:
        raise Gone

    books = soon()
    with pytest.raises(Gone):
        drive(books.engine.answer(), call, view)
    assert books.attempts() == [("first", "primary", "cancelled")]


def learned(router: Router, model: str, latency_s: float) -> Router:
    """Let the router see enough calls of a model to know its latency."""
    for _ in range(30):
        admission = router._health.admit(model, time.monotonic())  # past thirty slow calls
        assert admission is not None
        router._health.succeeded(model, time.monotonic(), latency_s=latency_s)
    return router


MODELS_OF_A_ROUTER = [{"id": name, "base_url": "http://127.0.0.1:9"} for name in ("first", "second")]


def test_a_router_hedges_by_the_latency_that_it_has_observed() -> None:
    config = {"execution": {"hedge_quantile": 0.9}}
    router = learned(Router(MODELS_OF_A_ROUTER, incumbent="first", config=config), "first", SOON_S)
    release = threading.Event()
    outcome = router.run(STEP, lambda model: "quick" if model == "second" else str(release.wait(60)))
    release.set()
    assert [(a.model, a.role, a.status) for a in outcome.attempts] == [
        ("first", "primary", "cancelled"),
        ("second", "hedge", "ok"),
    ]
    assert [state.in_flight for state in router.health()] == [0, 0]


def test_without_hedging_no_thread_is_started() -> None:
    router = learned(Router(MODELS_OF_A_ROUTER, incumbent="first"), "first", SOON_S)
    here = threading.current_thread()
    assert router.run(STEP, lambda model: str(threading.current_thread() is here)).response == "True"
