"""What a test sees of the telemetry: spans by name, what is still open, and metric points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskrouter import Router, Step

MODELS = ("first", "second")
STEP = Step(messages=[{"role": "user", "content": "hello"}], task_type="chat")


class _Open(SpanProcessor):
    """The spans that have started and not ended."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}

    def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
        self.names[span.get_span_context().span_id] = span.name

    def on_end(self, span: ReadableSpan) -> None:
        del self.names[_id(span)]


class Recorder:
    """An in-memory tracer and meter provider, with other readers of the metrics beside its own."""

    def __init__(self, *readers: MetricReader) -> None:
        self._exporter, self._open, self._reader = InMemorySpanExporter(), _Open(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracers.add_span_processor(self._open)
        self.meters = MeterProvider([self._reader, *readers])
        self._tracer = self.tracers.get_tracer("tests")

    @staticmethod
    def pool() -> list[dict[str, Any]]:
        return [card(name) for name in MODELS]

    def router(self, pool: list[dict[str, Any]] | None = None, **config: Any) -> Router:
        """A router that reports to this recorder, of two priced models unless a pool is given."""
        execution = {"backoff_base_s": 0.001, "retries": 0, **config.pop("execution", {})}
        plugins = config.pop("plugins", ())
        return Router(
            pool or self.pool(),
            incumbent="first",
            plugins=plugins,
            config={"execution": execution, **config},
            tracer_provider=self.tracers,
            meter_provider=self.meters,
        )

    @property
    def open(self) -> Mapping[int, str]:
        return self._open.names

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    @contextmanager
    def span(self, name: str) -> Iterator[Any]:
        """A span of somebody else: the application's around us, or an HTTP client's beneath us."""
        with self._tracer.start_as_current_span(name) as span:
            yield span

    def one(self, name: str) -> ReadableSpan:
        (span,) = (s for s in self.spans if s.name == name)
        return span

    def tree(self) -> list[str]:
        """Every finished span as the path of names from its root, in the order in which they started."""
        known = {_id(span): span for span in self.spans}
        ordered = sorted(self.spans, key=lambda span: span.start_time or 0)
        return [_path(span, known) for span in ordered]

    def points(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """The data points of every metric: labels and, for a counter its sum, for a histogram its sum of values."""
        data = self._reader.get_metrics_data()
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        for metric in [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else ():
            for point in metric.data.data_points:
                value = point.value if hasattr(point, "value") else point.sum
                found.setdefault(metric.name, []).append((dict(point.attributes or {}), value))
        return found

    def metrics(self) -> dict[str, Any]:
        """The metrics by name, as the SDK would export them."""
        data = self._reader.get_metrics_data()
        return {m.name: m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics} if data else {}

    def metrics_text(self) -> str:
        data = self._reader.get_metrics_data()
        return data.to_json() if data else ""

    def shutdown(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()


def card(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "model": f"openai/{name}",
        "provider": "openai",
        "base_url": "http://127.0.0.1:9/v1",
        "input_usd_per_million": 1.0,
        "output_usd_per_million": 4.0,
        "cached_input_usd_per_million": 0.1,
        "context_tokens": 128_000,
        "capabilities": {"tools": True, "json_schema": True},
        **fields,
    }


def completion(text: str = "hi", **fields: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}
    return {
        "id": "resp_1",
        "model": "served-1",
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": usage,
        **fields,
    }


def chunk(text: str = "", finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}], **fields}


HELLO = [chunk(), chunk("hel"), chunk("lo", "stop", id="resp_1", model="served-1")]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def _path(span: ReadableSpan, known: Mapping[int, ReadableSpan]) -> str:
    above = known.get(span.parent.span_id) if span.parent else None
    return f"{_path(above, known)} > {span.name}" if above else span.name


def _id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id
