"""One step as spans: `route {task type}` with a `chat {model}` beneath it for every endpoint that was turned to.

What keeps viewers right: `gen_ai.*` stands on the attempts alone, so tokens are counted once; the route span is a
chain; success leaves the status unset; a failed attempt is an error; the route is one only when nothing answered.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Context, Token, copy_context
from dataclasses import dataclass

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from taskrouter.decision import Decision
from taskrouter.errors import ModelCallError
from taskrouter.observability import names as n
from taskrouter.observability.attributes import Target, chat_end, chat_start, route_end, route_start
from taskrouter.observability.guard import guarded
from taskrouter.observability.instruments import Instruments
from taskrouter.outcome import Attempt, Check, OutcomeStatus, ResponseView, Role
from taskrouter.ports import Endpoint
from taskrouter.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """Where the traces of a router go, and what all of them need to know."""

    tracer: Tracer
    instruments: Instruments
    targets: Mapping[str, Target]
    """The pool by model id, and deployments by endpoint id."""
    classifier: str


class StepTrace:
    """Observes one step; see `ports.StepObserver`."""

    def __init__(self, outlet: Outlet, step: Step, decision: Decision, *, streamed: bool) -> None:
        self._outlet, self._step, self._decision, self._streamed = outlet, step, decision, streamed
        self._started_ns = time.time_ns()
        self._parent = otel_context.get_current()
        self._route: Span | None = None
        self._failures: dict[str, tuple[str, ModelCallError]] = {}
        """By model id: the endpoint that was left last, and why."""

    def visit_started(self, endpoint: Endpoint, role: Role, index: int) -> VisitTrace:
        """Start the chat span, and the route span before the first one."""
        visit = VisitTrace(self, endpoint, self._outlet, self._decision.profile.task_type, self._parent)
        self._start_visit(visit, endpoint, role, index)
        return visit

    @guarded
    def _start_visit(self, visit: VisitTrace, endpoint: Endpoint, role: Role, index: int) -> None:
        outlet = self._outlet
        target = outlet.targets[endpoint.id]
        within = set_span_in_context(self._opened(), self._parent)
        span = outlet.tracer.start_span(
            f"chat {target.card.model}",
            context=within,
            kind=SpanKind.CLIENT,
            attributes=chat_start(target, endpoint, self._step, role, index, streamed=self._streamed),
        )
        visit.begin(span, set_span_in_context(span, within))
        if role in ("primary", "fallback"):
            self._count_fallbacks(endpoint.model)
        elif role == "escalation":
            self._failures = {}  # it is the plan that goes on

    def _count_fallbacks(self, model: str) -> None:
        """Count the models that this one is called instead of; another deployment of a model is no fallback."""
        failures, self._failures = self._failures, {}
        failures.pop(model, None)
        for endpoint_id, failure in failures.values():
            self._outlet.instruments.fell_back(self._outlet.targets[endpoint_id], failure)

    def _opened(self) -> Span:
        """Return the route span, started with the first visit."""
        outlet, decision = self._outlet, self._decision
        if self._route is None:
            self._route = outlet.tracer.start_span(
                f"route {decision.profile.task_type}",
                context=self._parent,
                kind=SpanKind.INTERNAL,
                attributes=route_start(self._step, decision, outlet.targets, outlet.classifier),
                start_time=self._started_ns,
            )
        return self._route

    def visit_failed(self, endpoint: Endpoint, error: ModelCallError) -> None:
        """Remember why the next visit is made."""
        self._failures[endpoint.model] = endpoint.id, error

    @guarded
    def step_ended(
        self, status: OutcomeStatus, attempts: Sequence[Attempt], answered: Attempt | None, check: Check
    ) -> None:
        """End the route span."""
        if self._route is None and status == "cancelled":
            return  # nothing was ever called
        span = self._opened()
        try:
            if span.is_recording():
                span.set_attributes(route_end(self._decision, self._outlet.targets, status, attempts, answered, check))
                if status == "exhausted":
                    span.set_status(Status(StatusCode.ERROR, "exhausted"))
        finally:
            span.end()


class VisitTrace:
    """Observes one visit; see `ports.VisitObserver`."""

    def __init__(
        self, step: StepTrace, endpoint: Endpoint, outlet: Outlet, task_type: str, parent: otel_context.Context
    ) -> None:
        self._step, self._endpoint, self._outlet, self._task_type = step, endpoint, outlet, task_type
        self._current = parent
        self._chat: Span | None = None

    def begin(self, chat: Span, current: otel_context.Context) -> None:
        """Take over the span, and the context in which it is current."""
        self._chat, self._current = chat, current

    @guarded
    def attempt_ended(self, attempt: Attempt) -> None:
        """Record the call's metrics."""
        outlet = self._outlet
        outlet.instruments.attempted(attempt, outlet.targets[attempt.endpoint_id], self._task_type)

    @guarded
    def ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        """End the chat span."""
        failed = error if error is not None and attempts and attempts[-1].status == "failed" else None
        if failed is not None:
            self._step.visit_failed(self._endpoint, failed)
        span, self._chat = self._chat, None
        if span is None:
            return
        try:
            if span.is_recording() and attempts:
                span.set_attributes(chat_end(attempts, view))
                if failed is not None:
                    _mark_failed(span, failed)
        finally:
            span.end()

    def attached(self) -> AbstractContextManager[object]:
        """Make the chat span current, so that HTTP spans nest beneath it."""
        return nullcontext() if self._chat is None else _Attached(self._current)

    def context(self) -> Context:
        """Return a private context in which the chat span is current. It is attached once and never detached."""
        private = copy_context()
        private.run(otel_context.attach, self._current)
        return private


def _mark_failed(span: Span, error: ModelCallError) -> None:
    """Set the status ourselves: a recorded exception would carry the provider's text."""
    span.set_attribute(n.ERROR_TYPE, error.kind)
    if error.status is not None:
        span.set_attribute(n.HTTP_STATUS, error.status)
    span.set_status(Status(StatusCode.ERROR, error.kind))


class _Attached:
    """Makes an OpenTelemetry context current for a `with` block."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: otel_context.Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token: Token[otel_context.Context] = otel_context.attach(self._context)

    def __exit__(self, *_: object) -> None:
        # `otel_context.detach` logs an error when a coroutine is thrown away outside the task it ran in; there is then
        # nothing to restore.
        with suppress(ValueError):
            self._token.var.reset(self._token)
