"""What all attempts of one step share: its clock, its account, its turns, its budget."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field

from taskrouter.catalog.card import ModelCard
from taskrouter.config import ExecutionConfig
from taskrouter.decision import Decision
from taskrouter.errors import AllAttemptsFailedError, BudgetExceededError, ExecutionError, ModelCallError
from taskrouter.execution.account import Account, OpenAttempt, Visit
from taskrouter.execution.commands import Abandoned, Command, Event, Reserve, Reserved, Wait
from taskrouter.execution.gates import Gate
from taskrouter.execution.limits import TimeLimits
from taskrouter.execution.turns import Turns
from taskrouter.outcome import ResponseView
from taskrouter.ports import Access, Admission, AnswerReader, Refusal, StepObserver, Wallet
from taskrouter.step import Step

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
"""Between two looks whether money that others hold has become free: the calls that hold it take seconds."""


@dataclass(slots=True, kw_only=True)
class Course:
    """One step on its way; see `Engine` for the arguments."""

    step: Step
    decision: Decision
    cards: Mapping[str, ModelCard]
    settings: ExecutionConfig
    observer: StepObserver
    started_s: float
    expects_finish: bool | Collection[str]
    unlimited: bool
    access: Access
    wallet: Wallet | None
    gate: Gate
    readers: Mapping[str, AnswerReader]
    turns: Turns = field(init=False)
    limits: TimeLimits = field(init=False)
    account: Account = field(init=False)
    refusals: list[BudgetExceededError] = field(init=False, default_factory=list)
    waited_for_money_s: float = field(init=False, default=0.0)
    paused_s: float = field(init=False, default=0.0)
    """Backoff since the last attempt; the next one books it, whichever endpoint is called then."""

    def __post_init__(self) -> None:
        self.turns = Turns(self.decision, self.cards, self.access)
        deadline_at_s = None if self.wallet is None else self.wallet.deadline_at_s
        self.limits = TimeLimits(self.settings, deadline_at_s, self.started_s)
        self.account = Account(self.decision, self.cards, self.observer, self.access, self.wallet)

    def expects_finish_of(self, model: str) -> bool:
        """Tell whether a stream of a model that ends without a finish reason was cut off."""
        expected = self.expects_finish
        return expected if isinstance(expected, bool) else model in expected

    def ask_first(self, model: str) -> None:
        """Let a model of the plan have the first turn, whatever its place in it."""
        self.turns.lead_with(model)
        self.account.roles = {model: "primary"}

    def usual_s(self, model: str) -> float:
        """Return how long a call of a model takes usually, seconds, as observed or by its card; 0 where unknown."""
        observed = self.access.latency_s(model)
        if observed is not None:
            return observed
        return self.cards[model].latency_s(self.decision.profile.output_tokens) or 0.0

    def may_go_on(self) -> bool:
        """Tell whether another attempt may begin."""
        return self.account.opened < self.settings.max_attempts and self.limits.time_left()

    def open(self, visit: Visit, admission: Admission, reservation: object) -> OpenAttempt:
        """Book the start of a call."""
        waited_s, self.paused_s = self.paused_s, 0.0
        return self.account.open(visit, admission, reservation, at_s=self.limits.now_s, waited_s=waited_s)

    def gone_at_s(self, gone: BaseException) -> float:
        """Return when the step's caller has gone, by what was thrown for it."""
        if isinstance(gone, Abandoned):
            self.limits.now_s = gone.at_s
        return self.limits.now_s

    def timeout_s(self, open_: OpenAttempt, seconds: float) -> float:
        """Return how long a call may take: longer where it wakes its endpoint, never longer than the step may."""
        return self.limits.within(seconds + self.access.cold_start_s(open_.visit.endpoint.id, open_.started_s))

    def fault(self, open_: OpenAttempt, view: ResponseView) -> ModelCallError | None:
        """Return what is wrong with a complete answer, or None.

        Raises:
            ConfigurationError: a validator raised, and that is to be heard of. The answer is booked: it is paid for.
        """
        try:
            return self.gate.fault(view, self.step, open_.model, unlimited=self.unlimited)
        except BaseException:  # an interruption of a validator too: the answer is there and must be paid for
            self.account.succeed(open_, view, self.limits.now_s)
            raise

    def reserve(self, admission: Admission, *, waits: bool = True) -> Generator[Command, Event, object | Refusal]:
        """Set aside what an admitted call may cost; if that is refused, the admission is given back.

        Args:
            admission: leave to make the call.
            waits: whether the call is worth waiting for, where the money is only set aside for calls under way.
        """
        if self.wallet is None:
            return None
        granted = False
        try:
            result = yield from self._reserved(self.wallet, admission.endpoint.model, waits)
            granted = not isinstance(result, Refusal)
            return result
        finally:
            if not granted:
                self.access.released(admission.endpoint.id, self.limits.now_s, probe=admission.probe)

    def give_back(self, admission: Admission, reservation: object) -> None:
        """Give back what was granted for a call that is not made after all."""
        if self.wallet is not None:
            self.wallet.give_back(reservation)
        self.access.released(admission.endpoint.id, self.limits.now_s, probe=admission.probe)

    def _reserved(self, wallet: Wallet, model: str, waits: bool) -> Generator[Command, Event, object | Refusal]:
        pause_s = _FIRST_PAUSE_S
        while True:
            event = yield Reserve(lambda: wallet.reserve(model), wallet.give_back, wallet.blocking)
            self.limits.now_s = event.at_s
            assert isinstance(event, Reserved), event  # noqa: S101 - the driver's contract
            refusal = event.result
            if not isinstance(refusal, Refusal) or not waits:
                return refusal
            pause_s = min(pause_s, wallet.wait_s - self.waited_for_money_s)
            if not refusal.may_pass or pause_s <= 0.0 or not self.limits.leaves(pause_s):
                self.refusals.append(refusal.error)
                return refusal
            self.waited_for_money_s += pause_s
            self.limits.now_s = (yield Wait(pause_s)).at_s
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)

    def exhausted(self) -> Exception:
        """Return what to raise when no attempt is left."""
        account, wallet = self.account, self.wallet
        failed = AllAttemptsFailedError(account.errors, account.in_order()) if account.errors else None
        stopped = self.refusals[0] if self.refusals else None
        if wallet is not None and self.limits.overdue():
            stopped = wallet.overdue()
        if stopped is not None:
            stopped.__cause__ = failed
            return stopped
        models = ", ".join(map(repr, (*self.decision.plan.models, *self.decision.fallbacks)))
        return failed or ExecutionError(f"no endpoint of {models} may be called for this step: its regions leave none")
