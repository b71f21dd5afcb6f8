"""Whatever happens, and wherever the caller leaves: the books of a step balance."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.execution.books import AccessBook, ObserverBook, WalletBook, balanced, refusal
from tests.core.execution.scripts import MODELS, cards, decision
from tests.core.execution.worlds import World

from taskrouter import AllAttemptsFailedError, BudgetExceededError, ConfigurationError, Plan, ResponseView, Step
from taskrouter.config import ExecutionConfig, GatesConfig
from taskrouter.errors import LocalFailure, StreamBroken
from taskrouter.execution import Engine, Gate
from taskrouter.execution.commands import Abandoned
from taskrouter.ports import Validator

STEP = Step(messages=[{"role": "user", "content": "hello"}])
PLANS = (
    None,
    Plan(kind="agree", models=("first", "second", "third")),
    Plan(kind="agree", models=("second", "third", "fourth", "first")),
    Plan(kind="gate", models=("first", "third")),
)
ENDS = (AllAttemptsFailedError, BudgetExceededError, StreamBroken, LocalFailure, ConfigurationError)


class Case:
    """One step of which everything is drawn: its settings, its endpoints, its budget and what becomes of its calls."""

    def __init__(self, seed: int, *, abandon_at: int | None, close: bool) -> None:
        rng = self.rng = random.Random(seed)
        self.access = AccessBook(
            (*MODELS, "fourth"), deployments=rng.choice((1, 1, 3)), blocked=rng.choice((0.0, 0.0, 0.3, 1.0)), rng=rng
        )
        self.access.usual_s = rng.choice((None, 0.3, 1.0))
        self.access.cold_s = rng.choice((0.0, 0.0, 5.0))
        self.wallet = self._wallet() if rng.random() < 0.6 else None
        self.plan = rng.choice(PLANS)
        self.observer = ObserverBook()
        self.settings = ExecutionConfig(
            timeout_s=rng.choice((1.0, 5.0, 60.0)),
            step_timeout_s=rng.choice((None, None, 3.0, 20.0)),
            retries=rng.choice((0, 1, 3)),
            max_attempts=rng.choice((1, 2, 6, 20)),
            hedge_quantile=rng.choice((None, 0.9, 0.9)),
            buffer_streams=rng.random() < 0.4,
        )
        gates = GatesConfig(
            refused=rng.choice(("fail", "accept")),
            truncated=rng.choice(("fail", "accept", "auto")),
            validator_error=rng.choice(("fail", "accept", "raise")),
        )
        engine = Engine(
            step=STEP,
            decision=decision(*MODELS[: rng.choice((0, 1, 3))], plan=self.plan) if self.plan else decision(*MODELS),
            cards=cards(first=8_000, second=4_000, third=100_000)
            | {"fourth": cards()["first"].model_copy(update={"id": "fourth"})},
            settings=self.settings,
            observer=self.observer,
            rng=rng,
            started_s=0.0,
            expects_finish=rng.random() < 0.5,
            readers={"whole": lambda step, view: view.text or None} if rng.random() < 0.5 else None,
            unlimited=rng.random() < 0.5,
            access=self.access,
            wallet=self.wallet,
            gate=Gate(gates, self._validators()),
        )
        self.streamed = rng.random() < 0.5
        deadline_s = None if self.wallet is None else self.wallet.deadline_at_s
        latest_s = min(limit for limit in (deadline_s, self.settings.step_timeout_s, 1e9) if limit is not None)
        self.world = World(
            engine.stream() if self.streamed else engine.answer(),
            rng,
            abandon_at=abandon_at,
            close=close,
            latest_s=latest_s,
        )

    def _wallet(self) -> WalletBook:
        rng = self.rng
        refusals = [
            refusal(may_pass=rng.random() < 0.5) if rng.random() < 0.3 else None for _ in range(rng.choice((0, 30)))
        ]
        return WalletBook(*refusals, deadline_at_s=rng.choice((None, 4.0)), wait_s=rng.choice((0.0, 0.5)))

    def _validators(self) -> Mapping[str, Validator]:
        def moody(step: Step, view: ResponseView) -> bool:
            if self.rng.random() < 0.1:
                raise ValueError("moody")
            return self.rng.random() < 0.9

        return {"moody": moody} if self.rng.random() < 0.4 else {}


@settings(max_examples=600, deadline=None)
@given(st.integers(0, 2**63), st.none() | st.integers(0, 25), st.booleans())
def test_every_admission_reservation_and_visit_is_closed_once(seed: int, abandon_at: int | None, close: bool) -> None:
    case = Case(seed, abandon_at=abandon_at, close=close)
    attempts = balanced(case.access, case.wallet, case.observer)
    world, ((status, _),) = case.world, case.observer.ends

    assert len(attempts) <= case.settings.max_attempts
    left = isinstance(world.error, Abandoned | GeneratorExit)
    assert [a.index for a in attempts] in (world.started, [*world.started, len(attempts)] if left else None)
    assert all(count == 1 for count in Counter(a.model for a in attempts if a.forced).values())
    if world.outcome is not None:
        assert world.running == {}
        assert status in ("ok", "fallback")
        taken = world.outcome.answered
        assert taken.status == "ok"
        assert [a.status for a in attempts if a.role != "propose" or a is taken].count("ok") == 1
        assert world.outcome.attempts == attempts
        assert len(world.outcome.proposals) == [a.role for a in attempts].count("propose")
        assert (world.outcome.check == "agreed") == (taken.role == "propose" and status == "ok")
    elif left:
        assert status == "cancelled"
    else:
        assert isinstance(world.error, ENDS)
        assert status == "exhausted"


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**63))
def test_no_chunk_of_a_failed_attempt_reaches_the_reader(seed: int) -> None:
    case = Case(seed, abandon_at=None, close=False)
    by_attempt = {attempt for attempt, _ in case.world.emitted}
    if case.world.outcome is not None and case.streamed:
        assert by_attempt <= {case.world.outcome.answered.index}
        numbers = [number for _, number in case.world.emitted]
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers
    elif isinstance(case.world.error, StreamBroken):
        assert not case.settings.buffer_streams
        assert len(by_attempt) == 1
    else:
        assert by_attempt == set()
