"""The tracer and the instruments of one router, and the decision whether anybody is listening."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from taskrouter.config import ModelConfig, TelemetryConfig
from taskrouter.decision import Decision
from taskrouter.errors import RoutingError, error_kind
from taskrouter.observability import names as n
from taskrouter.observability.attributes import Target, refused_step
from taskrouter.observability.content import Content
from taskrouter.observability.conventions import SCHEMA_URLS, chosen
from taskrouter.observability.guard import guarded, spared
from taskrouter.observability.instruments import Instruments
from taskrouter.observability.routes import Routes
from taskrouter.observability.step_trace import Outlet, StepTrace
from taskrouter.ports import Redactor
from taskrouter.step import Step

LINKED: Final = 128
"""Links of one span, as many as the SDK keeps unless it is told otherwise."""


class Telemetry:
    """Makes the trace of each step. It sets no global provider and installs no exporter: that is the application's.

    Args:
        config: the section `[telemetry]`.
        models: everything that may be called, by endpoint id, for provider names and addresses.
        version: ours, for the instrumentation scope.
        classifier: name of the classifier, for the route span.
        tracer_provider: where spans go; default: the global one.
        meter_provider: where metrics go; default: the global one.
        logger_provider: where content events go; default: the global one.
        redactors: what takes private things out of captured content, by name.
    """

    def __init__(
        self,
        config: TelemetryConfig,
        models: Mapping[str, ModelConfig],
        *,
        version: str,
        classifier: str,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: _logs.LoggerProvider | None = None,
        redactors: Mapping[str, Redactor] | None = None,
    ) -> None:
        self._enabled = config.enabled
        self._injected = tracer_provider is not None or meter_provider is not None
        convention = chosen()
        schema_url = SCHEMA_URLS[convention]
        self._instruments = spared(
            lambda: Instruments(
                metrics.get_meter(n.SCOPE, version, meter_provider, schema_url=schema_url), convention, meter_provider
            ),
            lambda: Instruments(metrics.NoOpMeter(n.SCOPE), convention),
        )
        self._tracer = spared(
            lambda: trace.get_tracer(n.SCOPE, version, tracer_provider, schema_url=schema_url), trace.NoOpTracer
        )
        self._outlet = Outlet(
            tracer=self._tracer,
            instruments=self._instruments,
            targets={name: Target.of(card, usage_owner=config.usage_owner) for name, card in models.items()},
            classifier=classifier,
            routes=Routes(),
            content=Content.of(
                config,
                redactors=redactors or {},
                scope=lambda: _logs.get_logger(n.SCOPE, version, logger_provider, schema_url),
                injected=logger_provider is not None,
            ),
        )

    @property
    def listening(self) -> bool:
        """Whether a provider is there that could record: without one a step's trace is not even built."""
        if not self._enabled:
            return False
        # The API hands out a proxy until an SDK is installed. Asking the private globals would be surer; the class
        # names of the two stand-ins are public.
        if self._injected or not (
            isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)
            and type(metrics.get_meter_provider()).__name__ in ("_ProxyMeterProvider", "NoOpMeterProvider")
        ):
            return True
        return self._outlet.content is not None and self._outlet.content.in_events

    def step_trace(self, step: Step, decision: Decision, *, streamed: bool) -> StepTrace:
        """Return the observer that turns a step into spans."""
        return StepTrace(self._outlet, step, decision, streamed=streamed)

    @guarded
    def refused(self, step: Step, error: RoutingError) -> None:
        """Tell of a step for which no decision could be made: whoever is on call looks for it in the trace."""
        if not self.listening:
            return
        kind = error_kind(error)
        span = self._tracer.start_span("route", kind=SpanKind.INTERNAL, attributes=refused_step(step, error))
        self._instruments.refused(kind)
        span.set_status(Status(StatusCode.ERROR, kind))
        span.end()

    @guarded
    def breaker(self, endpoint_id: str, state: str) -> None:
        """Count that an endpoint's circuit breaker has changed.

        Args:
            endpoint_id: the model's id, or `model@deployment`.
            state: what it is now: `closed`, `open` or `down`.
        """
        if self.listening:
            self._instruments.breaker(self._outlet.targets[endpoint_id], endpoint_id, state)

    @guarded
    def judged(
        self,
        decisions: Sequence[str],
        score: float,
        source: str,
        *,
        elsewhere: Callable[[str], tuple[str, str] | None] = lambda _: None,
    ) -> None:
        """Tell of a label, with links to the steps that it is of: it may come when their traces are long over.

        Args:
            decisions: ids of the steps.
            score: from 0 to 1.
            source: who says so.
            elsewhere: finds the ids of trace and route span, hexadecimal, of a step that is not remembered here.
        """
        if not self.listening:
            return
        self._instruments.judged(source)
        attributes: dict[str, str | float | int] = {n.FEEDBACK_SCORE: float(score), n.FEEDBACK_SOURCE: source}
        if len(decisions) == 1:
            attributes[n.DECISION_ID] = decisions[0]
        else:
            attributes[n.FEEDBACK_STEPS] = len(decisions)
        links = []
        for decision_id in decisions[:LINKED]:
            context = self._outlet.routes.find(decision_id) or _remote(elsewhere(decision_id))
            if context is not None:
                links.append(Link(context, {n.DECISION_ID: decision_id}))
        self._tracer.start_span("feedback", kind=SpanKind.INTERNAL, attributes=attributes, links=links).end()


def _remote(ids: tuple[str, str] | None) -> SpanContext | None:
    """Return the context of a span that another process has made."""
    if ids is None:
        return None
    trace_id, span_id = (int(part, 16) for part in ids)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
