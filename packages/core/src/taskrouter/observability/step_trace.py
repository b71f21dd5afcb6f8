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
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from taskrouter.decision import Decision
from taskrouter.errors import ModelCallError
from taskrouter.observability import names as n
from taskrouter.observability.attributes import Target, chat_end, chat_start, route_end, route_start
from taskrouter.observability.content import Content, StepContent
from taskrouter.observability.guard import guarded
from taskrouter.observability.instruments import Instruments
from taskrouter.observability.routes import Routes
from taskrouter.outcome import Attempt, Ending, ResponseView, Role
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
    routes: Routes
    content: Content | None = None
    """Captures what is asked and answered; None: nobody wants that."""


class StepTrace:
    """Observes one step; see `ports.StepObserver`."""

    def __init__(self, outlet: Outlet, step: Step, decision: Decision, *, streamed: bool) -> None:
        self._outlet, self._step, self._decision, self._streamed = outlet, step, decision, streamed
        self._started_ns = time.time_ns()
        self._parent = otel_context.get_current()
        self._route: Span | None = None
        self._failures: dict[str, tuple[str, ModelCallError]] = {}
        """By model id: the endpoint that was left last, and why."""
        self._content = None if outlet.content is None else outlet.content.of_step(step, decision.profile)

    def visit_started(self, endpoint: Endpoint, role: Role, index: int) -> VisitTrace:
        """Start the chat span, and the route span before the first one."""
        visit = VisitTrace(self, endpoint, self._outlet, self._decision, self._parent)
        self._start_visit(visit, endpoint, role, index)
        return visit

    @guarded
    def _start_visit(self, visit: VisitTrace, endpoint: Endpoint, role: Role, index: int) -> None:
        outlet = self._outlet
        target = outlet.targets[endpoint.id]
        within = set_span_in_context(self._opened(), self._parent)
        known = chat_start(target, endpoint, self._step, self._decision.id, role, index, streamed=self._streamed)
        span = outlet.tracer.start_span(
            f"chat {target.card.model}", context=within, kind=SpanKind.CLIENT, attributes=known
        )
        visit.begin(span, set_span_in_context(span, within))
        if role in ("primary", "fallback"):
            self._count_fallbacks(endpoint.model)
        elif role == "escalation":
            self._failures = {}  # it is the plan that goes on
        if self._content is not None:
            self._content.asked(span)
            visit.captures(self._content, known)

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
                links=self._links(),
                start_time=self._started_ns,
            )
        return self._route

    def _links(self) -> list[Link]:
        """Return the link of a trial to the step that it is made for: it runs behind it, in a trace of its own."""
        of = self._decision.of
        context = None if of is None else self._outlet.routes.find(of)
        return [] if context is None else [Link(context, {n.DECISION_ID: str(of)})]

    def visit_failed(self, endpoint: Endpoint, error: ModelCallError) -> None:
        """Remember why the next visit is made."""
        self._failures[endpoint.model] = endpoint.id, error

    @property
    def span_context(self) -> SpanContext | None:
        """The route span's, by which others link to it; None before the first visit."""
        return None if self._route is None else self._route.get_span_context()

    def attached(self) -> AbstractContextManager[object]:
        """Make the route span current, also when it has ended: for what is logged of the step."""
        return nullcontext() if self._route is None else _Attached(set_span_in_context(self._route, self._parent))

    @guarded
    def step_ended(self, ending: Ending) -> None:
        """End the route span, and record the step's metrics."""
        if self._route is None and ending.status == "cancelled":
            return  # nothing was ever called
        outlet, span = self._outlet, self._opened()
        try:
            if span.is_recording():
                span.set_attributes(route_end(self._decision, outlet.targets, ending))
                if ending.status == "exhausted":
                    span.set_status(Status(StatusCode.ERROR, "exhausted"))
            outlet.routes.note(self._decision.id, span.get_span_context())
            within = set_span_in_context(span, self._parent)
            outlet.instruments.ended(self._decision, ending, outlet.targets, within)
        finally:
            span.end()


class VisitTrace:
    """Observes one visit; see `ports.VisitObserver`."""

    def __init__(
        self, step: StepTrace, endpoint: Endpoint, outlet: Outlet, decision: Decision, parent: otel_context.Context
    ) -> None:
        self._step, self._endpoint, self._outlet, self._decision = step, endpoint, outlet, decision
        self._current = parent
        self._chat: Span | None = None
        self._content: StepContent | None = None
        self._known: Mapping[str, Any] = {}

    def begin(self, chat: Span, current: otel_context.Context) -> None:
        """Take over the span, and the context in which it is current."""
        self._chat, self._current = chat, current

    def captures(self, content: StepContent, known: Mapping[str, Any]) -> None:
        """Take what writes the content down, and what was known of the call at its start."""
        self._content, self._known = content, known

    @guarded
    def attempt_ended(self, attempt: Attempt) -> None:
        """Record the call's metrics."""
        outlet = self._outlet
        target = outlet.targets[attempt.endpoint_id]
        outlet.instruments.attempted(attempt, target, self._decision, self._current)

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
                span.set_attributes(chat_end(self._outlet.targets[self._endpoint.id], attempts, view))
                if failed is not None:
                    _mark_failed(span, failed)
            if self._content is not None and attempts:
                self._content.told(span, view, lambda: self._all_known(attempts, view, failed), self._current)
        finally:
            span.end()

    def _all_known(
        self, attempts: Sequence[Attempt], view: ResponseView | None, failed: ModelCallError | None
    ) -> dict[str, Any]:
        """What the span says too."""
        target = self._outlet.targets[self._endpoint.id]
        return {**self._known, **chat_end(target, attempts, view), **({} if failed is None else _failure(failed))}

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
    span.set_attributes(_failure(error))
    span.set_status(Status(StatusCode.ERROR, error.kind))


def _failure(error: ModelCallError) -> dict[str, str | int]:
    """Return what is told of an error."""
    status = {} if error.status is None else {n.HTTP_STATUS: error.status}
    return {n.ERROR_TYPE: error.kind, **status}


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
