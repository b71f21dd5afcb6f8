"""Telemetry that hangs, or cannot even be made: the user's calls go on, and memory stays bounded.

What raises inside a step is in `tests/core/observability/test_harmless.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from tests.core.observability.recorder import HELLO, STEP, card, completion

from taskrouter import Router

QUEUE = 64
PATIENCE_S = 60


class HangingSpans(SpanExporter):
    """Does not come back before it is let go."""

    def __init__(self, go: threading.Event) -> None:
        self.go, self.reached, self.exported = go, threading.Event(), 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.reached.set()
        assert self.go.wait(PATIENCE_S)
        self.exported += len(spans)
        return SpanExportResult.SUCCESS


class HangingMetrics(MetricExporter):
    """Does not come back before it is let go."""

    def __init__(self, go: threading.Event) -> None:
        super().__init__()
        self.go, self.reached = go, threading.Event()

    def export(self, *_: Any, **__: Any) -> MetricExportResult:
        self.reached.set()
        assert self.go.wait(PATIENCE_S)
        return MetricExportResult.SUCCESS

    def force_flush(self, *_: Any, **__: Any) -> bool:
        return True

    def shutdown(self, *_: Any, **__: Any) -> None:
        pass


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """Lets what hangs go on, at the end at the latest."""
    event = threading.Event()
    yield event
    event.set()


def router(tracers: trace.TracerProvider | None = None, meters: metrics.MeterProvider | None = None) -> Router:
    return Router([card("first"), card("second")], "first", tracer_provider=tracers, meter_provider=meters)


def answer(model: str) -> Any:
    return completion()


def test_exporters_that_hang_hold_up_no_call(go: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    spans, points = HangingSpans(go), HangingMetrics(go)
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(spans, max_queue_size=QUEUE, max_export_batch_size=QUEUE // 2))
    reader = PeriodicExportingMetricReader(points, export_interval_millis=1)
    meters = MeterProvider([reader], shutdown_on_exit=False)
    steps = 1000
    with router(tracers, meters) as routing:
        routing.run(STEP, answer)
        assert points.reached.wait(PATIENCE_S)
        answers = [routing.run(STEP, answer).text for _ in range(steps)]
        assert spans.reached.wait(PATIENCE_S)
    assert answers == ["hi"] * steps
    go.set()
    tracers.shutdown()
    meters.shutdown()
    assert 0 < spans.exported < 2 * steps, "what did not fit is dropped, and the SDK says so"
    assert any("dropping" in record.getMessage() for record in caplog.records)


def fail(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("telemetry is broken")


class NoTracer(trace.NoOpTracerProvider):
    get_tracer = fail


class NoMeter(metrics.NoOpMeterProvider):
    get_meter = fail


class BrokenHistograms(metrics.NoOpMeter):
    create_histogram = fail


class BrokenCallbacks(metrics.NoOpMeter):
    create_observable_counter = fail


class NoInstruments(metrics.NoOpMeterProvider):
    def get_meter(self, *_: Any, **__: Any) -> metrics.Meter:
        return BrokenHistograms("broken")


class NoCallbacks(metrics.NoOpMeterProvider):
    def get_meter(self, *_: Any, **__: Any) -> metrics.Meter:
        return BrokenCallbacks("broken")


BROKEN: dict[str, Callable[[], Router]] = {
    "tracer provider": lambda: router(NoTracer()),
    "meter provider": lambda: router(meters=NoMeter()),
    "meter": lambda: router(meters=NoInstruments()),
    "meter, without callbacks": lambda: router(meters=NoCallbacks()),
}


@pytest.mark.parametrize("part", BROKEN)
def test_a_provider_that_gives_nothing_costs_telemetry_alone(part: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "taskrouter.observability"), BROKEN[part]() as routing:
        assert [routing.run(STEP, answer).text for _ in range(3)] == ["hi"] * 3
        assert len(list(routing.run_stream(STEP, lambda model: iter(HELLO)))) == len(HELLO)
    (said,) = (record.getMessage() for record in caplog.records if record.name == "taskrouter.observability")
    assert said.startswith(f"telemetry is off: RuntimeError at {__file__}"), "the place, and not the words"
