"""Money is set aside before every call, and settled or given back exactly once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.core.execution.books import AccessBook, ObserverBook, WalletBook, balanced, refusal
from tests.core.execution.scripts import MODELS, Play, engine, text, usage

from taskrouter import AllAttemptsFailedError, BudgetExceededError
from taskrouter import errors as e
from taskrouter.config import ExecutionConfig
from taskrouter.execution import drive_async
from taskrouter.execution.access import OpenAccess
from taskrouter.execution.commands import Call, Reserve
from taskrouter.ports import Refusal

NO_RETRY = ExecutionConfig(retries=0)


class Books:
    """A step on a budget, its books kept."""

    def __init__(self, wallet: WalletBook, settings: ExecutionConfig = NO_RETRY) -> None:
        self.wallet, self.access, self.observer = wallet, AccessBook(MODELS), ObserverBook()
        self.engine = engine(settings=settings, access=self.access, wallet=wallet, observer=self.observer)

    def balance(self) -> None:
        balanced(self.access, self.wallet, self.observer)


def test_every_call_is_reserved_before_it_is_made_and_settled_after() -> None:
    books = Books(WalletBook())
    play = Play(books.engine.answer(), [e.Timeout("first"), text("hi", usage=usage(10, 5))])
    assert [type(c) for c in play.commands] == [Reserve, Call, Reserve, Call]
    assert books.wallet.asked == ["first", "second"]
    assert play.outcome is not None
    assert books.wallet.settled_usd == play.outcome.cost_usd
    books.balance()


def test_a_call_that_does_not_fit_is_left_for_a_model_that_does() -> None:
    books = Books(WalletBook(refusal(), refusal()))
    play = Play(books.engine.answer(), [text("hi")])
    assert books.wallet.asked == ["first", "second", "third"]
    assert play.called == ["third"]
    assert play.waits == []
    books.balance()


def test_a_retry_that_does_not_fit_is_left_for_a_model_that_does() -> None:
    books = Books(WalletBook(None, refusal()), ExecutionConfig(retries=1))
    play = Play(books.engine.answer(), [e.ServerFailed("first"), text("hi")])
    assert books.wallet.asked == ["first", "first", "second"]
    assert play.called == ["first", "second"]
    books.balance()


def test_where_nothing_was_called_the_first_refusal_is_raised() -> None:
    books = Books(WalletBook(*(refusal(said=said) for said in ("one", "two", "three"))))
    with pytest.raises(BudgetExceededError, match="one") as caught:
        Play(books.engine.answer(), [])
    assert caught.value.__cause__ is None
    books.balance()


def test_after_calls_the_refusal_says_what_they_came_to() -> None:
    books = Books(WalletBook(None, refusal(), refusal()))
    with pytest.raises(BudgetExceededError) as caught:
        Play(books.engine.answer(), [e.Timeout("first")])
    assert isinstance(caught.value.__cause__, AllAttemptsFailedError)
    assert [a.model for a in caught.value.__cause__.attempts] == ["first"]
    books.balance()


def test_money_that_others_hold_is_waited_for_with_growing_pauses() -> None:
    books = Books(WalletBook(*[refusal(may_pass=True)] * 3, wait_s=2.0))
    play = Play(books.engine.answer(), [text("hi")])
    assert play.waits == [0.02, 0.04, 0.08]
    assert play.called == ["first"]
    books.balance()


def test_a_step_waits_for_money_no_longer_than_allowed_altogether() -> None:
    books = Books(WalletBook(*[refusal(may_pass=True)] * 99, wait_s=2.0))
    with pytest.raises(BudgetExceededError):
        Play(books.engine.answer(), [])
    assert books.wallet.asked[-2:] == ["second", "third"]
    books.balance()


def test_the_last_pause_is_what_is_left() -> None:
    books = Books(WalletBook(*[refusal(may_pass=True)] * 3, wait_s=0.05))
    play = Play(books.engine.answer(), [text("hi")])
    assert play.waits == [0.02, pytest.approx(0.03)]
    assert play.called == ["second"]


def test_nobody_waits_for_money_beyond_the_end_of_the_step() -> None:
    settings = ExecutionConfig(step_timeout_s=0.05)
    books = Books(WalletBook(*[refusal(may_pass=True)] * 99, wait_s=2.0), settings)
    with pytest.raises(BudgetExceededError):
        Play(books.engine.answer(), [])
    books.balance()


def test_after_the_deadline_nothing_is_called() -> None:
    books = Books(WalletBook(deadline_at_s=0.0))
    with pytest.raises(BudgetExceededError, match="overdue") as caught:
        Play(books.engine.answer(), [])
    assert caught.value.limit == "deadline"
    assert caught.value.__cause__ is None
    assert books.wallet.asked == []
    books.balance()


def test_a_deadline_that_passes_meanwhile_is_raised_with_what_the_calls_came_to() -> None:
    books = Books(WalletBook(deadline_at_s=0.15))
    with pytest.raises(BudgetExceededError, match="overdue") as caught:
        Play(books.engine.answer(), [e.Timeout("first"), e.Timeout("second")])
    assert isinstance(caught.value.__cause__, AllAttemptsFailedError)
    assert len(caught.value.__cause__.attempts) == 2
    books.balance()


def test_a_call_is_given_no_longer_than_until_the_deadline() -> None:
    books = Books(WalletBook(deadline_at_s=5.0))
    play = Play(books.engine.answer(), [text("hi")])
    (command,) = (c for c in play.commands if isinstance(c, Call))
    assert command.timeout_s == 5.0


def test_a_pause_that_outlasts_the_deadline_is_not_begun() -> None:
    books = Books(WalletBook(deadline_at_s=5.0), ExecutionConfig(retries=1))
    play = Play(books.engine.answer(), [e.RateLimited("first", retry_after_s=8.0), text("hi")])
    assert (play.called, play.waits) == (["first", "second"], [])


class FarWallet(WalletBook):
    """Its reservations take until somebody lets them go on, as over a slow network."""

    def __init__(self) -> None:
        super().__init__()
        self.blocking = True
        self.entered, self.leave, self.came_back = threading.Event(), threading.Event(), threading.Event()

    def reserve(self, model: str) -> object | Refusal:
        self.entered.set()
        assert self.leave.wait(60)
        return super().reserve(model)

    def give_back(self, reservation: object) -> None:
        super().give_back(reservation)
        self.came_back.set()


async def never(command: Any) -> Any:
    raise AssertionError("called without money")


async def test_a_far_reservation_does_not_hold_up_the_event_loop() -> None:
    books = Books(wallet := FarWallet())

    async def call(command: Any) -> str:
        return "hi"

    task = asyncio.create_task(drive_async(books.engine.answer(), call, lambda _, native: text(native)))
    await asyncio.to_thread(wallet.entered.wait, 60)
    wallet.leave.set()  # this line runs while the reservation is made
    assert (await task).text == "hi"
    books.balance()


async def test_a_step_that_is_cancelled_while_money_is_reserved_gives_it_back() -> None:
    books = Books(wallet := FarWallet())
    task = asyncio.create_task(drive_async(books.engine.answer(), never, lambda _, native: text(native)))
    await asyncio.to_thread(wallet.entered.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wallet.leave.set()
    assert await asyncio.to_thread(wallet.came_back.wait, 60)
    assert wallet.returned == 1
    books.balance()


async def test_a_step_that_is_cancelled_when_the_money_has_just_been_reserved_gives_it_back() -> None:
    books = Books(wallet := FarWallet())
    wallet.leave.set()
    task = asyncio.create_task(drive_async(books.engine.answer(), never, lambda _, native: text(native)))
    await asyncio.sleep(0)
    while not wallet.open:  # the loop is not given the control in between: the task cannot notice
        assert wallet.entered.wait(60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(wallet.came_back.wait, 60)
    books.balance()


async def test_a_refusal_from_afar_is_not_given_back() -> None:
    class Refusing(FarWallet):
        def reserve(self, model: str) -> object | Refusal:
            super().give_back(super().reserve(model))
            self.came_back.clear()
            return refusal()

    books = Books(wallet := Refusing())
    task = asyncio.create_task(drive_async(books.engine.answer(), never, lambda _, native: text(native)))
    await asyncio.to_thread(wallet.entered.wait, 60)
    task.cancel()
    wallet.leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wallet.open == []
    assert books.access.open == []


@pytest.mark.parametrize(("usual_s", "blamed"), [(None, False), (0.09, False), (0.03, True)])
def test_a_call_that_its_callers_deadline_cut_short_is_no_fault_of_the_endpoint(
    usual_s: float | None, blamed: bool
) -> None:
    told: list[str] = []

    class Watching(OpenAccess):
        def failed(self, endpoint_id: str, *_: Any, **__: Any) -> None:
            told.append(f"{endpoint_id} failed")

        def latency_s(self, model: str, quantile: float = 0.5) -> float | None:
            return usual_s

    hurried = engine(access=Watching(), wallet=WalletBook(deadline_at_s=0.1))
    with pytest.raises(BudgetExceededError):
        Play(hurried.answer(), [e.Timeout("first")])
    assert bool(told) is blamed
