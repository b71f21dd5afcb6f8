"""One step as spans: `route {task type}` with a `chat {model}` beneath it for every model that was turned to.

What keeps viewers right: `gen_ai.*` stands on the attempts alone, so tokens are counted once; the route span is a
chain; success leaves the status unset; a failed attempt is an error; the route is one only when nothing answered.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, copy_context
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from taskrouter.config import ModelConfig
from taskrouter.decision import Decision
from taskrouter.errors import ModelCallError
from taskrouter.observability import names as n
from taskrouter.observability.instruments import Instruments
from taskrouter.outcome import Attempt, OutcomeStatus, ResponseView, Role, sum_cost_usd, sum_usage
from taskrouter.step import Step

P = ParamSpec("P")
logger = logging.getLogger("taskrouter.observability")


def _guarded(method: Callable[Concatenate[StepTrace, P], None]) -> Callable[Concatenate[StepTrace, P], None]:
    """Telemetry may fail; the user's call does not."""

    @functools.wraps(method)
    def guarded(self: StepTrace, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            logger.warning("telemetry failed in %s", method.__name__, exc_info=True)

    return cast("Callable[Concatenate[StepTrace, P], None]", guarded)


class StepTrace:
    """Observes one step; see `ports.StepObserver`."""

    def __init__(
        self,
        *,
        tracer: Tracer,
        instruments: Instruments,
        models: Mapping[str, ModelConfig],
        step: Step,
        decision: Decision,
        classifier: str,
        streamed: bool,
        usage_owner: str,
    ) -> None:
        self._tracer, self._instruments, self._models = tracer, instruments, models
        self._step, self._decision = step, decision
        self._classifier, self._streamed, self._usage_owner = classifier, streamed, usage_owner
        self._started_ns = time.time_ns()
        self._parent = otel_context.get_current()
        self._route: Span | None = None
        self._chat: Span | None = None
        self._current = self._parent

    @_guarded
    def visit_started(self, model: str, role: Role, index: int) -> None:
        """Start the chat span, and the route span before the first one."""
        if self._route is None:
            decision = self._decision
            self._route = self._tracer.start_span(
                f"route {decision.profile.task_type}",
                context=self._parent,
                kind=SpanKind.INTERNAL,
                attributes=_route_attributes(self._step, decision, self._models, self._classifier),
                start_time=self._started_ns,
            )
        name = self._models[model].model
        context = set_span_in_context(self._route, self._parent)
        self._chat = self._tracer.start_span(
            f"chat {name}",
            context=context,
            kind=SpanKind.CLIENT,
            attributes=self._chat_attributes(model, role, index),
        )
        self._current = set_span_in_context(self._chat, context)

    @_guarded
    def attempt_ended(self, attempt: Attempt) -> None:
        """Record the call's metrics."""
        card = self._models[attempt.model]
        provider = n.provider_name(card.provider, card.model)
        self._instruments.attempted(attempt, provider, self._decision.profile.task_type)

    @_guarded
    def visit_ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        """End the chat span."""
        span, self._chat = self._chat, None
        self._current = self._parent
        if span is None:
            return
        if span.is_recording() and attempts:
            span.set_attributes(_ending(attempts, view))
            if error is not None and attempts[-1].status == "failed":
                span.set_attribute(n.ERROR_TYPE, error.kind)
                if error.status is not None:
                    span.set_attribute(n.HTTP_STATUS, error.status)
                span.set_status(Status(StatusCode.ERROR, error.kind))
        span.end()
        if error is not None and attempts and attempts[-1].status == "failed":
            self._instruments.fell_back(attempts[-1].model, error.kind)

    @_guarded
    def step_ended(self, status: OutcomeStatus, attempts: Sequence[Attempt]) -> None:
        """End the route span."""
        span = self._route
        if span is None:
            return
        if span.is_recording():
            span.set_attributes(self._outcome(status, attempts))
            if status == "exhausted":
                span.set_status(Status(StatusCode.ERROR, "exhausted"))
        span.end()

    def attached(self) -> AbstractContextManager[object]:
        """Make the chat span current, so that HTTP spans nest beneath it."""
        return _attached(self._current) if self._chat is not None else nullcontext()

    def context(self) -> Context:
        """Return a private context in which the chat span is current. It is attached once and never detached."""
        private = copy_context()
        private.run(otel_context.attach, self._current)
        return private

    def _chat_attributes(self, model: str, role: Role, index: int) -> dict[str, Any]:
        config = self._models[model]
        attributes: dict[str, Any] = {
            n.OPERATION: "chat",
            n.PROVIDER: n.provider_name(config.provider, config.model),
            n.GENAI_REQUEST_MODEL: config.model,
            n.ATTEMPT_INDEX: index,
            n.ATTEMPT_ROLE: role,
        }
        if self._streamed:
            attributes[n.GENAI_REQUEST_STREAM] = True
        if self._usage_owner == "framework":
            attributes[n.OPENINFERENCE_KIND] = "CHAIN"
        if session := self._step.context.session_id:
            attributes[n.CONVERSATION_ID] = session
        if config.base_url and (address := urlsplit(config.base_url)).hostname:
            attributes[n.SERVER_ADDRESS] = address.hostname
            attributes[n.SERVER_PORT] = address.port or (443 if address.scheme == "https" else 80)
        return attributes

    def _outcome(self, status: OutcomeStatus, attempts: Sequence[Attempt]) -> dict[str, Any]:
        booked = tuple(attempts)
        usage = sum_usage(booked)
        attributes: dict[str, Any] = {
            n.OUTCOME_STATUS: status,
            n.ATTEMPT_COUNT: len(booked),
            n.FALLBACK_USED: len({a.model for a in booked}) > 1,
            n.USAGE_INPUT: usage.input_tokens,
            n.USAGE_OUTPUT: usage.output_tokens,
        }
        if booked and status in ("ok", "fallback"):
            config = self._models[booked[-1].model]
            attributes[n.OUTCOME_MODEL] = booked[-1].model
            attributes[n.OUTCOME_PROVIDER] = n.provider_name(config.provider, config.model)
        if (cost := sum_cost_usd(booked)) is not None:
            attributes |= {n.COST_TOTAL: cost, n.COST_CURRENCY: "USD"}
        incumbent = self._models[self._decision.incumbent]
        profile = self._decision.profile
        baseline_tokens = usage if usage.input_tokens else None
        baseline = incumbent.cost_usd(
            baseline_tokens.input_tokens if baseline_tokens else profile.input_tokens,
            baseline_tokens.output_tokens if baseline_tokens else profile.output_tokens,
        )
        if baseline is not None:
            attributes[n.COST_BASELINE] = baseline
        return attributes


@contextmanager
def _attached(context: otel_context.Context) -> Any:
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


def _route_attributes(
    step: Step, decision: Decision, models: Mapping[str, ModelConfig], classifier: str
) -> dict[str, Any]:
    ranking = decision.board
    profile, context = decision.profile, step.context
    chosen = models[decision.model]
    attributes: dict[str, Any] = {
        n.OPENINFERENCE_KIND: "CHAIN",
        n.DECISION_ID: decision.id,
        n.DECISION_MODEL: decision.model,
        n.DECISION_PROVIDER: n.provider_name(chosen.provider, chosen.model),
        n.DECISION_REASON: decision.reason,
        n.DECISION_CANDIDATES: [ranking.cards[i].id for i in ranking.order],
        n.DECISION_SCORES: [ranking.scores[i] for i in ranking.order],
        n.DECISION_LATENCY_MS: decision.duration_s * 1e3,
        n.DECISION_PROPENSITY: decision.propensity,
        n.POLICY_NAME: decision.policy,
        n.POLICY_VERSION: decision.policy_version,
        n.CLASSIFIER_NAME: classifier if profile.evidence == "classifier" else profile.evidence,
        n.TASK_TYPE: profile.task_type,
        n.TASK_COMPLEXITY: profile.complexity,
        n.TASK_CONFIDENCE: profile.confidence,
        n.REQUEST_MODEL: decision.incumbent,
    }
    known = {
        n.STEP_AGENT: context.agent,
        n.STEP_NODE: context.node,
        n.STEP_INDEX: context.index,
        n.STEP_RUN_ID: context.run_id,
        n.STEP_TENANT: context.tenant,
        n.CONVERSATION_ID: context.session_id,
    }
    attributes.update((name, value) for name, value in known.items() if value is not None)
    return attributes


def _ending(attempts: Sequence[Attempt], view: ResponseView | None) -> dict[str, Any]:
    last = attempts[-1]
    attributes: dict[str, Any] = {n.ATTEMPT_OUTCOME: last.status, n.ATTEMPT_RETRIES: len(attempts) - 1}
    usage = sum_usage(tuple(attempts))
    if usage.input_tokens or usage.output_tokens:
        attributes[n.INPUT_TOKENS] = usage.input_tokens
        attributes[n.OUTPUT_TOKENS] = usage.output_tokens
        if usage.cached_input_tokens:
            attributes[n.CACHED_TOKENS] = usage.cached_input_tokens
    if (cost := sum_cost_usd(tuple(attempts))) is not None:
        source = "estimated" if usage.estimated else "catalogue"
        attributes |= {
            n.COST_AMOUNT: cost,
            n.COST_AMOUNT_CURRENCY: "USD",
            n.COST_SOURCE: source,
            n.OPENINFERENCE_COST: cost,
        }
    if last.first_token_s is not None:
        attributes[n.FIRST_CHUNK] = last.first_token_s
    if view is not None:
        optional = {n.RESPONSE_MODEL: view.model, n.RESPONSE_ID: view.response_id}
        attributes.update((name, value) for name, value in optional.items() if value)
        if view.finish_reason:
            attributes[n.FINISH_REASONS] = [view.finish_reason]
    return attributes
