"""The account of one step: every call with its outcome, tokens, price and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from taskrouter.ports import StepObserver

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


@dataclass(slots=True)
class OpenAttempt:
    """A call under way."""

    model: str
    role: Role
    index: int
    started_s: float
    waited_s: float
    first_token_s: float | None = None


@dataclass(slots=True)
class Account:
    """Books attempts as they start and end."""

    decision: Decision
    cards: Mapping[str, ModelCard]
    observer: StepObserver
    attempts: list[Attempt] = field(default_factory=list)
    errors: list[ModelCallError] = field(default_factory=list)
    current: OpenAttempt | None = None

    def open(self, model: str, role: Role, *, at_s: float, waited_s: float) -> OpenAttempt:
        """Book the start of a call."""
        self.current = OpenAttempt(model, role, len(self.attempts) + 1, at_s, waited_s)
        return self.current

    def succeed(self, view: ResponseView, at_s: float) -> None:
        """Book an answer, with the provider's token counts where it gave them."""
        self._close("ok", at_s, view.usage or self._estimate(view), served_model=view.model)

    def fail(self, error: ModelCallError, at_s: float, view: ResponseView | None = None) -> None:
        """Book a failure. What the provider turns away costs nothing, nor does what never left this machine; an answer
        or a part of one has been paid for.
        """
        self.errors.append(error)
        turned_away = isinstance(error, _UNPAID) or error.status is not None
        paid = view is not None or isinstance(error, Timeout) or not turned_away  # LiteLLM gives its timeouts a status
        usage = (view.usage if view else None) or (self._estimate(view) if paid else Usage())
        self._close("failed", at_s, usage, error_type=error.kind, served_model=view.model if view else None)

    def cancel(self, at_s: float, view: ResponseView | None = None) -> None:
        """Book a call that the caller gave up: the provider has been asked, so its input is charged."""
        self._close("cancelled", at_s, (view.usage if view else None) or self._estimate(view))

    def of_visit(self, first: int) -> Sequence[Attempt]:
        """Return the attempts from index `first` on."""
        return self.attempts[first - 1 :]

    def _estimate(self, view: ResponseView | None) -> Usage:
        written = 0
        if view is not None:
            written = len(view.text) + len(view.reasoning) + sum(len(c.arguments) for c in view.tool_calls)
        return Usage(input_tokens=self.decision.profile.input_tokens, output_tokens=-(-written // 4), estimated=True)

    def _close(
        self,
        status: AttemptStatus,
        at_s: float,
        usage: Usage,
        *,
        error_type: str | None = None,
        served_model: str | None = None,
    ) -> None:
        current, self.current = self.current, None
        assert current is not None, "an attempt ends that never began"  # noqa: S101 - the engine's own invariant
        card = self.cards[current.model]
        free = status == "failed" and usage == Usage()
        cost = card.cost_usd(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
        attempt = Attempt(
            index=current.index,
            model=current.model,
            role=current.role,
            status=status,
            error_type=error_type,
            usage=usage,
            cost_usd=0.0 if free else cost,
            latency_s=at_s - current.started_s,
            first_token_s=current.first_token_s,
            waited_s=current.waited_s,
            served_model=served_model,
        )
        self.attempts.append(attempt)
        self.observer.attempt_ended(attempt)
