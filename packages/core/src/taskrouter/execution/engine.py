"""The sans-I/O engine: a state machine that says what to do next and is told what happened.

It is written as a generator, after the manner of h11: it yields commands (`commands.py`), a driver carries them out and
sends back events. So every rule of retry, fallback and streaming stands here once, for sync and async, and every order
of failures can be tested without a clock or a network.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import count
from typing import Any, TypeAlias

from taskrouter.catalog.card import ModelCard
from taskrouter.config import ExecutionConfig
from taskrouter.decision import Decision
from taskrouter.errors import (
    AllAttemptsFailedError,
    BadAnswer,
    ConfigurationError,
    LocalFailure,
    ModelCallError,
    StreamBroken,
    Timeout,
)
from taskrouter.execution.account import Account, OpenAttempt
from taskrouter.execution.classify import classify
from taskrouter.execution.commands import (
    Answered,
    Call,
    CloseStream,
    Command,
    Emit,
    Ended,
    Event,
    Failed,
    OpenStream,
    Read,
    Wait,
)
from taskrouter.execution.gates import fault
from taskrouter.execution.partial import Partial
from taskrouter.execution.reactions import Reaction, backoff_s, reaction
from taskrouter.outcome import Outcome, OutcomeStatus, ResponseView, Role
from taskrouter.ports import StepObserver
from taskrouter.step import Step

Steps: TypeAlias = Generator[Command, Event, "Outcome[Any]"]
_Attempted: TypeAlias = Generator[Command, Event, "Answered | ModelCallError"]


class Abandoned(BaseException):
    """Thrown into the engine by a driver whose caller has gone: cancelled, interrupted, or no longer reading."""

    def __init__(self, at_s: float) -> None:
        super().__init__()
        self.at_s = at_s


class Engine:
    """Carries out one decision.

    Args:
        step: the step to answer.
        decision: its plan and fallbacks.
        cards: the pool by id, for prices and windows.
        settings: time limits and retries.
        observer: told of every visit and attempt.
        rng: source of backoff jitter.
        started_s: the driver's clock at the start.
        expects_finish: whether a stream that ends without a finish reason was cut off. True for providers' own
            protocols; adapters whose framework may drop the reason leave it off.
    """

    def __init__(
        self,
        *,
        step: Step,
        decision: Decision,
        cards: Mapping[str, ModelCard],
        settings: ExecutionConfig,
        observer: StepObserver,
        rng: random.Random,
        started_s: float,
        expects_finish: bool = False,
    ) -> None:
        self._step = step
        self._decision = decision
        self._cards = cards
        self._settings = settings
        self._observer = observer
        self._rng = rng
        self._started_s = self._now_s = started_s
        self._expects_finish = expects_finish
        self._account = Account(decision, cards, observer)
        self._queue: list[str] = [*decision.plan.models, *decision.fallbacks]

    def begin(self, at_s: float) -> None:
        """Start the clock anew: between a stream's making and its first reading any time may pass."""
        self._started_s = self._now_s = at_s

    def answer(self) -> Steps:
        """Get one whole answer.

        Raises:
            AllAttemptsFailedError: no model gave one.
            LocalFailure: the failure is on our side; trying other models would not help.
        """
        return self._run(self._call)

    def stream(self) -> Steps:
        """Get one streamed answer: a model is left only as long as nothing meaningful has arrived from it.

        Raises:
            StreamBroken: the stream stopped after that; it carries what had arrived.
            AllAttemptsFailedError: no model gave an answer.
            LocalFailure: the failure is on our side.
        """
        return self._run(self._stream)

    def _run(self, attempt: Callable[[OpenAttempt], _Attempted]) -> Steps:
        status: OutcomeStatus = "exhausted"
        try:
            for model, role in self._visits():
                result = yield from self._visit(model, role, attempt)
                if isinstance(result, Answered):
                    status = "ok" if role == "primary" else "fallback"
                    return self._outcome(result, status)
            raise AllAttemptsFailedError(self._account.errors, self._account.attempts)
        except (Abandoned, GeneratorExit):
            status = "cancelled"
            raise
        finally:
            self._observer.step_ended(status, tuple(self._account.attempts))

    def _outcome(self, answered: Answered, status: OutcomeStatus) -> Outcome[Any]:
        return Outcome(
            response=answered.native,
            view=answered.view,
            decision=self._decision,
            attempts=tuple(self._account.attempts),
            status=status,
            latency_s=self._now_s - self._started_s,
        )

    def _visits(self) -> Iterator[tuple[str, Role]]:
        """The models to turn to, one after the other, as far as the last failure leaves any."""
        role: Role = "primary"
        while self._queue and len(self._account.attempts) < self._settings.max_attempts and self._time_left():
            yield self._queue.pop(0), role
            role = "fallback"
            self._react(self._account.errors[-1])

    def _react(self, error: ModelCallError) -> None:
        """Let a failure decide which models are left."""
        match reaction(error):
            case Reaction.RAISE if isinstance(error.__cause__, ConfigurationError):
                raise error.__cause__  # a key that is not set, an extra that is missing: it says itself what to change
            case Reaction.RAISE:
                raise error
            case Reaction.LARGER:
                window = self._cards[error.model].context_tokens or 0
                self._queue = [m for m in self._queue if (self._cards[m].context_tokens or window + 1) > window]
            case Reaction.ONCE_MORE if len({e.model for e in self._account.errors if type(e) is type(error)}) > 1:
                self._queue = []

    def _visit(
        self, model: str, role: Role, attempt: Callable[[OpenAttempt], _Attempted]
    ) -> Generator[Command, Event, Answered | None]:
        first = len(self._account.attempts) + 1
        self._observer.visit_started(model, role, first)
        answer: Answered | None = None
        error: ModelCallError | None = None
        waited_s = 0.0
        try:
            for retry in count():
                result = yield from attempt(self._account.open(model, role, at_s=self._now_s, waited_s=waited_s))
                if isinstance(result, Answered):
                    answer, error = result, None
                    return answer
                error = result
                pause_s = self._pause_s(error, retry)
                if pause_s is None:
                    return None
                waited_s = pause_s
                self._now_s = (yield Wait(pause_s)).at_s
        except StreamBroken as broken:
            error = broken
            raise
        finally:
            self._observer.visit_ended(self._account.of_visit(first), answer.view if answer else None, error)
        return None

    def _pause_s(self, error: ModelCallError, retry: int) -> float | None:
        """Return how long to wait before the same model is called again, or None to leave it."""
        settings = self._settings
        spent = retry >= settings.retries or len(self._account.attempts) >= settings.max_attempts
        if spent or reaction(error) is not Reaction.RETRY:
            return None
        if self._queue and (error.retry_after_s or 0.0) > settings.max_retry_after_s:
            return None
        pause_s = backoff_s(error, retry, settings, self._rng)
        left_s = self._left_s()
        return None if left_s is not None and pause_s >= left_s else pause_s

    def _left_s(self) -> float | None:
        limit = self._settings.step_timeout_s
        return None if limit is None else limit - (self._now_s - self._started_s)

    def _time_left(self) -> bool:
        left_s = self._left_s()
        return left_s is None or left_s > 0

    def _within_step(self, seconds: float) -> float:
        left_s = self._left_s()
        return seconds if left_s is None else max(0.001, min(seconds, left_s))

    def _call(self, open_: OpenAttempt) -> _Attempted:
        timeout_s = self._within_step(self._settings.timeout_s)
        try:
            event = yield Call(open_.model, open_.index, open_.role, timeout_s)
        except (Abandoned, GeneratorExit) as gone:
            self._account.cancel(getattr(gone, "at_s", self._now_s))
            raise
        self._now_s = event.at_s
        if isinstance(event, Failed):
            return self._failed(classify(event.error, open_.model))
        assert isinstance(event, Answered), event  # noqa: S101 - the driver's contract
        if not isinstance(event.view, ResponseView):
            return self._failed(_no_view(event.view, open_.model), ResponseView())
        if error := fault(event.view, self._step, open_.model):
            return self._failed(error, event.view)
        self._account.succeed(event.view, event.at_s)
        return event

    def _failed(self, error: ModelCallError, view: ResponseView | None = None) -> ModelCallError:
        self._account.fail(error, self._now_s, view)
        return error

    def _stream(self, open_: OpenAttempt) -> _Attempted:
        partial = Partial()
        try:
            error = yield from self._open(open_)
            if error is None:
                error = yield from self._relay(open_, partial)
            if error is not None:
                yield CloseStream()
        except (Abandoned, GeneratorExit) as gone:
            self._account.cancel(getattr(gone, "at_s", self._now_s), partial.view())
            raise
        if error is None:
            view = partial.view()
            self._account.succeed(view, self._now_s)
            return Answered(None, view, self._now_s)
        view = partial.view()
        if not partial.meaningful:  # a failure that is local costs nothing, unless the provider had answered before it
            answered = view.usage is not None or (partial.began and isinstance(error, LocalFailure))
            return self._failed(error, view if answered else None)
        broken = StreamBroken(open_.model, partial=view, status=error.status)
        self._account.fail(broken, self._now_s, view)
        raise broken from (error.__cause__ or error)

    def _open(self, open_: OpenAttempt) -> Generator[Command, Event, ModelCallError | None]:
        settings = self._settings
        timeout_s = self._within_step(min(settings.timeout_s, settings.first_token_timeout_s))
        event = yield OpenStream(open_.model, open_.index, open_.role, timeout_s)
        self._now_s = event.at_s
        return classify(event.error, open_.model) if isinstance(event, Failed) else None

    def _relay(self, open_: OpenAttempt, partial: Partial) -> Generator[Command, Event, ModelCallError | None]:
        """Hold chunks back until the first meaningful one, then hand them on; return what went wrong, if anything."""
        held: list[Any] = []
        while True:
            event = yield Read(self._read_timeout_s(open_, committed=partial.meaningful))
            self._now_s = event.at_s
            if isinstance(event, Failed):
                return classify(event.error, open_.model)
            if isinstance(event, Ended):
                return self._ended(open_, partial, held)
            assert isinstance(event, Answered), event  # noqa: S101 - the driver's contract
            partial.began = True
            if not isinstance(event.view, ResponseView):
                return _no_view(event.view, open_.model)
            partial.add(event.view)
            held.append(event.native)
            if partial.meaningful:
                if open_.first_token_s is None:
                    open_.first_token_s = self._now_s - open_.started_s
                for native in held:
                    yield Emit(native)
                held.clear()
            elif self._now_s - open_.started_s > self._settings.first_token_timeout_s:
                return Timeout(open_.model)  # signs of life are no answer; without them the read itself times out

    def _read_timeout_s(self, open_: OpenAttempt, *, committed: bool) -> float:
        if committed:
            return self._within_step(self._settings.timeout_s)
        waited_s = self._now_s - open_.started_s
        return self._within_step(max(0.001, self._settings.first_token_timeout_s - waited_s))

    def _ended(self, open_: OpenAttempt, partial: Partial, held: list[Any]) -> ModelCallError | None:
        if not partial.meaningful:
            del held[:]
            return BadAnswer(open_.model, detail="ended its stream without an answer")
        if self._expects_finish and partial.finish_reason is None:
            return BadAnswer(open_.model, detail="ended its stream without a finish reason")
        return None


def _no_view(view: object, model: str) -> LocalFailure:
    return LocalFailure(
        model, detail=f"answered, but `view` gave a {type(view).__name__}: it must return a ResponseView"
    )
