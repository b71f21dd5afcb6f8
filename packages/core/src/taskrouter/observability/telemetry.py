"""The tracer and the instruments of one router, and the decision whether anybody is listening."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import metrics, trace

from taskrouter.config import ModelConfig, TelemetryConfig
from taskrouter.decision import Decision
from taskrouter.observability import names as n
from taskrouter.observability.attributes import Target
from taskrouter.observability.guard import guarded
from taskrouter.observability.instruments import Instruments
from taskrouter.observability.step_trace import Outlet, StepTrace
from taskrouter.step import Step


class Telemetry:
    """Makes the trace of each step. It sets no global provider and installs no exporter: that is the application's.

    Args:
        config: the section `[telemetry]`.
        models: everything that may be called, by endpoint id, for provider names and addresses.
        version: ours, for the instrumentation scope.
        classifier: name of the classifier, for the route span.
        tracer_provider: where spans go; default: the global one.
        meter_provider: where metrics go; default: the global one.
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
    ) -> None:
        self._enabled = config.enabled
        self._injected = tracer_provider is not None or meter_provider is not None
        self._instruments = Instruments(metrics.get_meter(n.SCOPE, version, meter_provider, schema_url=n.SCHEMA_URL))
        self._outlet = Outlet(
            tracer=trace.get_tracer(n.SCOPE, version, tracer_provider, schema_url=n.SCHEMA_URL),
            instruments=self._instruments,
            targets={name: Target.of(card, usage_owner=config.usage_owner) for name, card in models.items()},
            classifier=classifier,
        )

    @property
    def listening(self) -> bool:
        """Whether a provider is there that could record: without one a step's trace is not even built."""
        if not self._enabled:
            return False
        # The API hands out a proxy until an SDK is installed. Asking the private globals would be surer; the class
        # names of the two stand-ins are public.
        return self._injected or not (
            isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)
            and type(metrics.get_meter_provider()).__name__ in ("_ProxyMeterProvider", "NoOpMeterProvider")
        )

    @guarded
    def decided(self, decision: Decision) -> None:
        """Count a decision and its duration."""
        self._instruments.decided(decision)

    def step_trace(self, step: Step, decision: Decision, *, streamed: bool) -> StepTrace:
        """Return the observer that turns a step into spans."""
        return StepTrace(self._outlet, step, decision, streamed=streamed)
