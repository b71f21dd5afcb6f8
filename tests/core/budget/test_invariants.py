"""Whatever order calls are reserved, settled, given up and exchanged in, no limit is broken and nothing stays held.

A limit may be exceeded by what calls have cost above what was declared for them, and by nothing else.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from tests.core.budget.parts import attempt, held, purse, wallet
from tests.core.execution.scripts import cards, decision, text, usage

from taskrouter import BudgetExceededError, Step
from taskrouter.budget.ledger import Ledger
from taskrouter.budget.purse import NANO, Need, Purse
from taskrouter.budget.wallet import Reservation, StepWallet
from taskrouter.config import ExecutionConfig
from taskrouter.errors import AllAttemptsFailedError
from taskrouter.execution import Engine, SilentObserver
from taskrouter.execution.commands import Abandoned, Answered, Call, Done, Failed, Reserve, Reserved, Wait
from taskrouter.ports import Refusal
from taskrouter.state.memory import MemoryStore

AMOUNTS = st.integers(0, 60)
LIMITS = {"narrow": 100, "wide": 250}
"""Every process has a purse of each name; those of one name share their accounts."""


class Steps(RuleBasedStateMachine):
    """Steps of one process, with purses of its own ledger."""

    reservations = Bundle("reservations")
    ledgers: list[Ledger]

    def __init__(self) -> None:
        super().__init__()
        self.begin()
        self.purses = [[purse(ledger, name, nano=limit) for name, limit in LIMITS.items()] for ledger in self.ledgers]
        self.spent: Counter[str] = Counter()
        self.overrun: Counter[str] = Counter()
        self.open: set[int] = set()
        self.gone: set[int] = set()

    def begin(self) -> None:
        self.ledgers = [Ledger()]

    @rule(target=reservations, process=st.integers(0, 2), names=st.sampled_from([[0], [1], [0, 1]]), amount=AMOUNTS)
    def reserve(self, process: int, names: list[int], amount: int) -> Any:
        process %= len(self.ledgers)
        purses = [self.purses[process][name] for name in names]
        step = wallet(*purses)
        reservation = step.reserve(f"{amount}/{amount}")
        if isinstance(reservation, Refusal):
            self.refused(purses, amount, reservation)
            return None
        if process in self.gone:
            step.give_back(reservation)
            return None
        self.open.add(id(reservation))
        return process, purses, step, reservation

    def refused(self, purses: list[Purse], amount: int, refusal: Refusal) -> None:
        lefts = [left for purse in purses if (left := purse.left("usd")) is not None]
        assert min(lefts) < amount, "what fits is granted"
        assert refusal.may_pass == all(
            purse.used("usd")[0] + amount <= (purse.limit("usd") or 0)
            for purse in purses
            if (purse.left("usd") or 0) < amount
        )

    @rule(made=consumes(reservations), cost=st.one_of(st.none(), AMOUNTS), twice=st.booleans())
    def settle(self, made: Any, cost: int | None, twice: bool) -> None:
        """None: the call was never made."""
        if made is None or made[0] in self.gone:
            return
        _, purses, step, reservation = made
        self.open.remove(id(reservation))
        for _ in range(1 + twice):
            if cost is None:
                step.give_back(reservation)
            else:
                step.settle(reservation, attempt(cost, cost))
        for each in purses if cost is not None else ():
            assert cost is not None
            self.spent[each.name] += cost
            self.overrun[each.name] += max(0, cost - reservation.need.usd)

    @invariant()
    def no_limit_is_broken(self) -> None:
        for name, limit in LIMITS.items():
            assert self.spent[name] <= limit + self.overrun[name]

    @invariant()
    def nothing_is_negative(self) -> None:
        for purses in self.purses:
            for each in purses:
                assert min(each.used("usd")) >= 0

    def teardown(self) -> None:
        if self.open:
            return
        for process, purses in enumerate(self.purses):
            if process not in self.gone:
                assert set(held(purses)) == {0} or self.gone
                assert [each.used("usd")[0] for each in purses] == [self.spent[each.name] for each in purses]


class Processes(Steps):
    """Processes that share a store, exchange when they like, and may be killed."""

    def begin(self) -> None:
        store = MemoryStore()
        self.ledgers = [Ledger(store, f"process {number}") for number in range(3)]

    def refused(self, purses: list[Purse], amount: int, refusal: Refusal) -> None:
        """The store may not know yet what others have given back."""
        assert purses[0].ledger.shared

    @rule(process=st.integers(0, 2))
    def synchronise(self, process: int) -> None:
        if process not in self.gone:
            self.ledgers[process].synchronise()

    @precondition(lambda self: not self.gone)
    @rule(process=st.integers(0, 2))
    def kill(self, process: int) -> None:
        self.gone.add(process)

    def teardown(self) -> None:
        for process, ledger in enumerate(self.ledgers * 2):
            if process % 3 not in self.gone:
                for each in self.purses[process % 3]:
                    ledger.follow([want for _, want in each.wants(Need(0, 0, 0))])
                ledger.synchronise()
        if self.gone:
            return
        super().teardown()


TestSteps = Steps.TestCase
TestProcesses = Processes.TestCase


# the engine ---------------------------------------------------------------------------------------------------------

INPUT, OUTPUT = 100, 50
PRICE_IN, PRICE_OUT = 10.0, 100.0
"""As in `scripts`: tokens of every step, and US dollars per million."""
DECLARED = int((INPUT * PRICE_IN + OUTPUT * PRICE_OUT) / 1e6 * NANO)


class Branch:
    """One step in an engine, which goes on when it is told to."""

    def __init__(self, purses: list[Purse], rng: random.Random) -> None:
        self._rng = rng
        self._steps = Engine(
            step=Step(messages=[{"role": "user", "content": "hello"}]),
            decision=decision("first", "second"),
            cards=cards(),
            settings=ExecutionConfig(retries=1, backoff_base_s=0.001, backoff_max_s=0.001),
            observer=SilentObserver(),
            rng=rng,
            started_s=0.0,
            wallet=StepWallet(purses, lambda model: Need(DECLARED, INPUT + OUTPUT, 1), wait_s=0.1),
        ).answer()
        self._command: Any = next(self._steps)
        self.over = False
        self.overrun = 0
        self.result = ""

    def go_on(self) -> None:
        try:
            if self._rng.random() < 0.1:
                self._steps.throw(Abandoned(0.0))
            self._command = self._steps.send(self._event(self._command))
        except StopIteration:
            self.over, self.result = True, "answered"
        except Abandoned:
            self.over, self.result = True, "given up"
        except (BudgetExceededError, AllAttemptsFailedError) as error:
            self.over, self.result = True, type(error).__name__

    def _event(self, command: Any) -> Any:
        match command:
            case Reserve():
                return Reserved(command.work(), 0.0)
            case Wait():
                return Done(0.0)
        assert isinstance(command, Call)
        if self._rng.random() < 0.4:
            return Failed(self._rng.choice([ConnectionError("reset"), TimeoutError()]), 0.0)
        output = self._rng.randrange(0, 3 * OUTPUT)
        self.overrun += max(0, int((output - OUTPUT) * PRICE_OUT / 1e6 * NANO))
        return Answered("x", text("x", usage=usage(INPUT, output)), 0.0)


@given(
    seed=st.integers(0, 2**32),
    branches=st.integers(1, 8),
    calls=st.floats(0.5, 6.0),
    make=st.sampled_from([Ledger, lambda: Ledger(MemoryStore(), "process")]),
)
def test_parallel_steps_keep_the_limit_in_any_order(
    seed: int, branches: int, calls: float, make: Callable[[], Ledger]
) -> None:
    rng = random.Random(seed)
    ledger = make()
    limit = int(calls * DECLARED)
    purses = [purse(ledger, "all", nano=limit), purse(Ledger(), "also", tokens=100_000)]
    running = [Branch(purses, rng) for _ in range(branches)]
    while left := [branch for branch in running if not branch.over]:
        rng.choice(left).go_on()
        spent = purses[0].used("usd")[0]
        assert spent <= limit + sum(branch.overrun for branch in running)
    assert set(held(purses)) == {0}
    assert {branch.result for branch in running} <= {
        "answered",
        "given up",
        "BudgetExceededError",
        "AllAttemptsFailedError",
    }


def test_a_reservation_is_all_or_none_over_purses_of_several_ledgers() -> None:
    store = MemoryStore()
    local, shared = Ledger(), Ledger(store, "a")
    purses = [purse(local, "l", nano=100), purse(shared, "s", nano=50)]
    step = wallet(*purses)
    first = step.reserve("40/0")
    assert isinstance(first, Reservation)
    refusal = step.reserve("20/0")
    assert isinstance(refusal, Refusal)
    assert str(refusal.error) == (
        "s has $0.00000001 of $0.00000005 left ($0 spent and $0.00000004 reserved for calls under way), and a call of "
        "'20/0' may need $0.00000002; raise `usd`, or end here"
    )
    assert [each.used("usd") for each in purses] == [(0, 40), (0, 40)]
    step.settle(first, attempt(30))
    assert [each.used("usd") for each in purses] == [(30, 0), (30, 0)]
