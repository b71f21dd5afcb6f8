"""The accounts of one process, alone and beside others."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.core.budget.parts import attempt, held, purse, reserved, wallet

from taskrouter.budget import ledger as ledgers
from taskrouter.budget.book import BudgetBook
from taskrouter.budget.ledger import Hold, Ledger, Shortage, Want
from taskrouter.config import BudgetConfig
from taskrouter.errors import StoreUnavailable
from taskrouter.ports import Refusal
from taskrouter.state.memory import MemoryStore
from taskrouter.state.shares import Shares
from taskrouter.state.store import Claim, Report
from taskrouter.step import StepContext


class Away(MemoryStore):
    """A store that goes away when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.claims: list[int] = []

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        if self.away:
            raise StoreUnavailable("away")
        self.claims.append(len(claims))
        return super().claim(owner, claims)


class Shared(MemoryStore):
    """A store as it looks while the real one is away: every process has its share."""

    def __init__(self, peers: int) -> None:
        super().__init__()
        self._shares = Shares()
        self._peers = peers

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        for number in range(self._peers):
            super().claim(f"peer {number}", [Claim(account=claim.account, spent=0) for claim in claims])
        seen = super().claim(owner, [Claim(account=claim.account, spent=0) for claim in claims])
        self._shares.note(owner, [Claim(account=claim.account, spent=0) for claim in claims], seen)
        return self._shares.claim(owner, claims)


def test_a_reservation_of_one_process_counts_for_the_others_and_its_settlement_after_an_exchange() -> None:
    store = MemoryStore()
    ours, theirs = Ledger(store, "ours"), Ledger(store, "theirs")
    mine, other = purse(ours, nano=100), purse(theirs, nano=100)
    step = wallet(mine)
    reservation = reserved(step, "80/0")
    refusal = wallet(other).reserve("30/0")
    assert isinstance(refusal, Refusal)
    assert refusal.may_pass
    step.settle(reservation, attempt(10))
    assert isinstance(wallet(other).reserve("30/0"), Refusal), "settling does not wait for the store"
    ours.synchronise()
    reserved(wallet(other), "30/0")
    ours.synchronise()
    assert mine.used("usd") == other.used("usd") == (10, 30)


def test_what_a_killed_process_held_stays_used() -> None:
    store = MemoryStore()
    step = wallet(purse(Ledger(store, "killed"), nano=100))
    step.settle(reserved(step, "20/0"), attempt(5))
    reserved(step, "50/0")
    survivor = purse(Ledger(store, "survivor"), nano=100)
    refusal = wallet(survivor).reserve("50/0")
    assert isinstance(refusal, Refusal)
    assert survivor.used("usd") == (5, 50)
    reserved(wallet(survivor), "45/0")


def test_a_refusal_tells_the_amounts_that_decided_it() -> None:
    store = MemoryStore()
    Ledger(store, "theirs").reserve([Want("p:usd", 70, 100, None)])
    ledger = Ledger(store, "ours")
    shortage = ledger.reserve([Want("q:usd", 1, 100, None), Want("p:usd", 40, 100, None)])
    assert isinstance(shortage, Shortage)
    assert (shortage.want.account, shortage.used, shortage.held, shortage.shared_out) == ("p:usd", 0, 70, False)
    assert ledger.used("q:usd") == (0, 0)


def test_without_the_store_a_refusal_says_that_only_a_share_may_be_used() -> None:
    each = purse(Ledger(Shared(peers=3), "ours"), "this run's budget", nano=100)
    step = wallet(each)
    reserved(step, "25/0")
    refusal = step.reserve("1/0")
    assert isinstance(refusal, Refusal)
    assert str(refusal.error) == (
        "this run's budget has $0.000000075 of $0.0000001 left ($0 spent and $0.000000025 reserved for calls under "
        "way), and a call of '1/0' may need $0.000000001; while the shared state is away, this process may use only "
        "its share of what was left; try again later, or end here"
    )


def test_a_reservation_that_the_store_could_not_answer_is_not_held() -> None:
    store = Away()
    ledger = Ledger(store, "ours")
    each = purse(ledger, nano=100)
    store.away = True
    with pytest.raises(StoreUnavailable):
        wallet(each).reserve("10/0")
    assert each.used("usd") == (0, 0)
    with pytest.raises(StoreUnavailable):
        ledger.synchronise()
    store.away = False
    ledger.synchronise()
    assert store.claims == [3]


def test_settling_waits_for_nothing_although_a_reservation_hangs() -> None:
    answering, asked = threading.Event(), threading.Event()

    class Slow(MemoryStore):
        def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
            asked.set()
            assert answering.wait(20)
            return super().claim(owner, claims)

    answering.set()
    ledger = Ledger(Slow(), "ours")
    each = purse(ledger, nano=100)
    step = wallet(each)
    reservation = reserved(step, "10/0")
    answering.clear()
    asked.clear()
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(step.reserve, "20/0")
        assert asked.wait(20)
        step.settle(reservation, attempt(7))
        assert each.used("usd") == (7, 20)
        answering.set()
        assert isinstance(hanging.result(20), tuple)
    ledger.synchronise()
    assert each.used("usd") == (7, 20)


def test_an_exchange_takes_what_was_used_first_and_the_rest_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "AT_ONCE", 10)
    store = Away()
    ledger = Ledger(store, "ours")
    for number in range(25):
        hold = ledger.reserve([Want(f"a{number}", 5, 100, None)])
        assert isinstance(hold, Hold)
        ledger.settle(hold, [number])
    store.claims.clear()
    ledger.synchronise()
    assert store.claims == [10, 10, 5]
    store.claims.clear()
    ledger.synchronise()
    assert store.claims == [10], "nothing was used: some are told again"

    forgetful = Away()
    ledger._store = forgetful
    for _ in range(3):
        ledger.synchronise()
    other = Ledger(forgetful, "other")
    other.follow([Want(f"a{number}", 0, None, None) for number in range(25)])
    for _ in range(3):
        other.synchronise()
    assert [other.used(f"a{number}") for number in range(25)] == [(number, 0) for number in range(25)]


def test_a_process_alone_forgets_the_runs_that_were_idle_longest_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledgers, "MOST", 100)
    ledger = Ledger()
    step = wallet(purse(ledger, "tenant", nano=10_000))
    step.settle(reserved(step, "1/0"), attempt(1))
    busy = reserved(wallet(purse(ledger, "held", nano=100)), "50/0")
    for number in range(2_000):
        hold = ledger.reserve([Want(f"run:{number}:usd", 10, 100, None, True)])
        assert isinstance(hold, Hold)
        ledger.settle(hold, [number % 7])
    assert len(ledger) <= 110
    assert ledger.used("tenant:usd") == (1, 0)
    assert ledger.used("held:usd") == (0, 50)
    assert ledger.used("run:1999:usd") == (1999 % 7, 0)
    assert ledger.used("run:0:usd") == (0, 0)
    assert busy.need.usd == 50


def test_with_a_store_millions_of_runs_leave_memory_and_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "MOST", 60)
    store = MemoryStore()
    config = BudgetConfig.model_validate({"run": {"usd": 1.0}, "total": {"usd": 100.0}})
    book = BudgetBook(config, store, "ours", margin=1.0)
    keyed = book.scope(usd=1.0, tokens=None, steps=None, deadline_s=None, key="job")

    def spend(run: str, nano: int) -> Any:
        purses = [*book.in_force(StepContext(run_id=run)), keyed]
        step = wallet(*purses)
        reservation = reserved(step, "100/0")
        step.settle(reservation, attempt(nano))
        return purses

    under_way = wallet(*book.in_force(StepContext(run_id="slow")))
    slow = reserved(under_way, "100/0")
    for number in range(500):
        spend(f"r{number}", 10)
        if number % 50 == 0:
            book.synchronise()
        assert len(book.ledger) <= 70
    under_way.settle(slow, attempt(30))
    for _ in range(2):
        book.synchronise()
    assert book._retired == []
    total, first, _ = spend("r0", 10)
    assert first.used("usd")[0] == 20, "what it spent long ago still counts"
    assert total.used("usd")[0] == keyed.used("usd")[0] + 30 == 500 * 10 + 10 + 30


FORK = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""A fork beside threads is deprecated, and meant."""


def in_child(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@FORK
def test_a_fork_goes_on_from_what_was_spent_and_settles_nothing_of_its_parent() -> None:
    ledger = Ledger()
    each = purse(ledger, nano=100)
    step = wallet(each)
    step.settle(reserved(step, "40/0"), attempt(40))
    parents = reserved(step, "50/0")

    def child() -> None:
        assert each.used("usd") == (40, 0)
        own = wallet(each)
        reservation = reserved(own, "60/0")
        step.settle(parents, attempt(50))
        assert each.used("usd") == (40, 60)
        own.settle(reservation, attempt(30))
        assert each.used("usd") == (70, 0)

    assert in_child(child) == 0
    assert each.used("usd") == (40, 50)
    step.settle(parents, attempt(45))
    assert each.used("usd") == (85, 0)


@FORK
def test_a_fork_of_a_shared_ledger_has_a_part_of_its_own(tmp_path: Any) -> None:
    from taskrouter.state.sqlite import SQLiteStore

    store = SQLiteStore(tmp_path / "state.db")
    ledger = Ledger(store, "parent")
    each = purse(ledger, nano=100)
    step = wallet(each)
    step.settle(reserved(step, "40/0"), attempt(40))
    parents = reserved(step, "30/0")

    def child() -> None:
        assert each.used("usd") == (40, 30)
        own = wallet(each)
        step.settle(parents, attempt(30))
        own.settle(reserved(own, "20/0"), attempt(20))
        assert isinstance(own.reserve("20/0"), Refusal)
        ledger.synchronise()

    assert in_child(child) == 0
    assert in_child(lambda: None) == 0
    step.settle(parents, attempt(30))
    ledger.synchronise()
    assert each.used("usd") == (90, 0)
    store.close()


@FORK
def test_a_fork_while_other_threads_reserve_does_not_hang() -> None:
    ledger = Ledger(MemoryStore(), "parent")
    each = purse(ledger, nano=10**9)
    done = threading.Event()

    def busy() -> None:
        step = wallet(each)
        while not done.is_set():
            step.settle(reserved(step, "3/0"), attempt(3))

    def child() -> None:
        reserved(wallet(each), "1/0")

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(busy) for _ in range(2)]
        codes = [in_child(child) for _ in range(10)]
        done.set()
        for each_run in running:
            each_run.result(20)
    assert codes == [0] * 10
    assert set(held([each])) == {0}


def test_what_others_have_spent_is_not_forgotten_with_the_store() -> None:
    store = Away()
    others = wallet(purse(Ledger(store, "theirs"), nano=100))
    others.settle(reserved(others, "70/0"), attempt(70))
    ours = Ledger(store, "ours")
    each = purse(ours, nano=100)
    step = wallet(each)
    reserved(others, "10/0")
    step.settle(reserved(step, "10/0"), attempt(10))
    ours._store = Away()
    refusal = step.reserve("30/0")
    assert isinstance(refusal, Refusal)
    assert not refusal.may_pass
    assert each.used("usd") == (80, 0)
    reserved(step, "20/0")
