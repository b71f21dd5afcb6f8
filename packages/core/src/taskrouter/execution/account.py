"""The account of one step: every call with its outcome, tokens, price and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from taskrouter.catalog.card import ModelCard
from taskrouter.decision import Decision
from taskrouter.errors import (
    BadRequest,
    ConnectionFailed,
    ContextOverflow,
    LocalFailure,
    ModelCallError,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Timeout,
    Unauthenticated,
)
from taskrouter.outcome import Attempt, AttemptStatus, ResponseView, Role, Usage
from taskrouter.ports import Access, Admission, Endpoint, StepObserver, VisitObserver, Wallet

_UNPAID = (
    RateLimited,
    Overloaded,
    Unauthenticated,
    ModelNotFound,
    ContextOverflow,
    BadRequest,
    ConnectionFailed,
    LocalFailure,
)
"""What a provider turns away, and what never reached it; not every client tells the status."""
_SLACK_S = 0.01
"""Timers go off a little early or late."""
_LATE = 3.0
"""A call that took so many times longer than usual was slow, whoever ended it."""


@dataclass(slots=True)
class Visit:
    """An endpoint being called, retries included."""

    endpoint: Endpoint
    role: Role
    observer: VisitObserver
    attempts: list[Attempt] = field(default_factory=list)
    view: ResponseView | None = None
    """The answer, once there is one."""
    error: ModelCallError | None = None
    """The last failure."""

    def end(self) -> None:
        """Leave the endpoint."""
        self.observer.ended(self.attempts, self.view, self.error)


@dataclass(slots=True)
class OpenAttempt:
    """A call under way."""

    visit: Visit
    admission: Admission
    index: int
    started_s: float
    waited_s: float
    reservation: object
    first_token_s: float | None = None

    @property
    def model(self) -> str:
        """Id of the model."""
        return self.visit.endpoint.model


@dataclass(slots=True)
class Account:
    """Books attempts as they start and end."""

    decision: Decision
    cards: Mapping[str, ModelCard]
    observer: StepObserver
    access: Access
    wallet: Wallet | None
    attempts: list[Attempt] = field(default_factory=list)
    """In the order in which they ended."""
    errors: list[ModelCallError] = field(default_factory=list)
    opened: int = 0
    answered: Attempt | None = None
    """The attempt whose answer is to be taken."""
    view: ResponseView | None = None
    """That answer."""
    roles: Mapping[str, Role] | None = None
    """Of the models of a plan of several, every deployment alike; any other one is a fallback."""

    def visit(self, admission: Admission, role: Role | None = None) -> Visit:
        """Book the start of a visit: without a plan of several models, primary where the decided one is called."""
        endpoint = admission.endpoint
        if role is None:
            if self.roles is None:
                role = "primary" if endpoint.model == self.decision.model else "fallback"
            else:
                role = self.roles.get(endpoint.model, "fallback")
        return Visit(endpoint, role, self.observer.visit_started(endpoint, role, index=self.opened + 1))

    def open(
        self, visit: Visit, admission: Admission, reservation: object, *, at_s: float, waited_s: float
    ) -> OpenAttempt:
        """Book the start of a call."""
        self.opened += 1
        return OpenAttempt(visit, admission, self.opened, at_s, waited_s, reservation)

    def succeed(self, open_: OpenAttempt, view: ResponseView, at_s: float) -> None:
        """Book an answer, with the provider's token counts where it gave them."""
        open_.visit.view, open_.visit.error = view, None
        attempt = self._close(open_, "ok", at_s, _counted(view) or self._estimate(view), served_model=view.model)
        if attempt.role != "propose":
            self.take(attempt, view)
        self.access.succeeded(
            open_.visit.endpoint.id, at_s, latency_s=at_s - open_.started_s, first_token_s=open_.first_token_s
        )

    def take(self, attempt: Attempt, view: ResponseView) -> None:
        """Book whose answer it is that is taken: a proposal is not yet, when it has arrived."""
        self.answered, self.view = attempt, view

    def fail(
        self,
        open_: OpenAttempt,
        error: ModelCallError,
        at_s: float,
        view: ResponseView | None = None,
        *,
        reason: ModelCallError | None = None,
    ) -> ModelCallError:
        """Book a failure. What the provider turns away costs nothing, nor does what never left this machine; an answer
        or a part of one has been paid for. `reason` is what the endpoint is judged by, where that is another error.
        """
        self.errors.append(error)
        open_.visit.error = error
        turned_away = isinstance(error, _UNPAID) or error.status is not None
        paid = view is not None or isinstance(error, Timeout) or not turned_away  # LiteLLM gives its timeouts a status
        usage = _counted(view) or (self._estimate(view) if paid else Usage())
        served = view.model if view else None
        self._close(open_, "failed", at_s, usage, error_type=error.kind, served_model=served)
        endpoint_id, probe, latency_s = open_.visit.endpoint.id, open_.admission.probe, at_s - open_.started_s
        if self._hurried(open_, error, at_s):
            self.access.released(endpoint_id, at_s, probe=probe, latency_s=latency_s)
        else:
            self.access.failed(endpoint_id, reason or error, at_s, latency_s=latency_s, probe=probe)
        return error

    def cancel(self, open_: OpenAttempt, at_s: float, view: ResponseView | None = None) -> None:
        """Book a call that was given up: the provider has been asked, so its input is charged."""
        open_.visit.error = None
        self._close(open_, "cancelled", at_s, _counted(view) or self._estimate(view))
        self.access.released(
            open_.visit.endpoint.id, at_s, probe=open_.admission.probe, latency_s=at_s - open_.started_s
        )

    def in_order(self) -> tuple[Attempt, ...]:
        """Return the attempts in the order in which they began."""
        return tuple(sorted(self.attempts, key=lambda attempt: attempt.index))

    def _hurried(self, open_: OpenAttempt, error: ModelCallError, at_s: float) -> bool:
        """Tell whether a call failed only because its caller's own deadline came, which is no fault of the endpoint."""
        deadline_at_s = None if self.wallet is None else self.wallet.deadline_at_s
        if not isinstance(error, Timeout) or deadline_at_s is None or at_s < deadline_at_s - _SLACK_S:
            return False
        usual_s = self.access.latency_s(open_.model)
        return usual_s is None or at_s - open_.started_s < _LATE * usual_s

    def _estimate(self, view: ResponseView | None) -> Usage:
        written = 0
        if view is not None:
            written = len(view.text) + len(view.reasoning) + sum(len(c.arguments) for c in view.tool_calls)
        return Usage(input_tokens=self.decision.profile.input_tokens, output_tokens=-(-written // 4), estimated=True)

    def _close(
        self,
        open_: OpenAttempt,
        status: AttemptStatus,
        at_s: float,
        usage: Usage,
        *,
        error_type: str | None = None,
        served_model: str | None = None,
    ) -> Attempt:
        visit = open_.visit
        model = visit.endpoint.model
        card = self.cards[model]
        free = status == "failed" and usage == Usage()
        cost = card.cost_usd(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
        attempt = Attempt(
            index=open_.index,
            model=model,
            deployment=visit.endpoint.deployment,
            role=visit.role,
            status=status,
            forced=open_.admission.forced,
            error_type=error_type,
            usage=usage,
            cost_usd=0.0 if free else cost,
            latency_s=at_s - open_.started_s,
            first_token_s=open_.first_token_s,
            waited_s=open_.waited_s,
            served_model=served_model,
        )
        self.attempts.append(attempt)
        visit.attempts.append(attempt)
        if self.wallet is not None:
            self.wallet.settle(open_.reservation, attempt)
        visit.observer.attempt_ended(attempt)
        return attempt


def _counted(view: ResponseView | None) -> Usage | None:
    """Return the provider's count of tokens; None where it gave none, or what can be no count: budgets add it up."""
    usage = view.usage if view else None
    if usage is None:
        return None
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
    return usage if all(isinstance(count, int) and count >= 0 for count in counts) else None
