"""What telemetry adds to a step: the same `Router.run` with and without it, interleaved in one process.

    python benchmarks/telemetry_overhead.py [--rounds 2000] [--json] [--profile]

The call answers at once, so that what is left of a step is ours. In every round each contender makes one step, in
random order; what telemetry adds is the median of the differences within the rounds to the router whose telemetry is
switched off, so that the drift of a noisy machine cancels out. Sampled spans go through the batch processor, metrics
through the periodic reader, both to exporters that throw them away: `behind` is the processor time that a step costs
in other threads. The last line is what the SDK alone takes, with nothing of ours, for two spans with the attributes of
a step's and the four records that it makes. `--profile` shows where the time of a sampled step with metrics goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.metrics import MeterProvider as ApiMeterProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler

from taskrouter import Router, Step, StepContext

WARM_UP = 200
BLOCK = 500
"""Steps in a row whose processor time is taken together."""
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "You are a careful assistant of a small company. Answer briefly."},
    {"role": "user", "content": "The customer says that the invoice was charged twice. What should we ask first?"},
]
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"message": {"role": "assistant", "content": "For the invoice's number."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 40, "completion_tokens": 6},
}


class NullSpans(SpanExporter):
    """Throws spans away."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - a null exporter
        """Do nothing."""
        return SpanExportResult.SUCCESS


class NullMetrics(MetricExporter):
    """Throws metrics away."""

    def export(self, *_: Any, **__: Any) -> MetricExportResult:
        """Do nothing."""
        return MetricExportResult.SUCCESS

    def force_flush(self, *_: Any, **__: Any) -> bool:
        """Do nothing."""
        return True

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Do nothing."""


class Contender(NamedTuple):
    """One way to set telemetry up."""

    name: str
    router: Router
    flush: Callable[[], object]
    """Waits until everything behind the steps is done."""
    target_us: float | None = None


class Row(NamedTuple):
    """What a contender's telemetry adds to a step, in microseconds."""

    name: str
    p50_us: float
    added_us: float
    added_p90_us: float
    ratio: float
    behind_us: float
    target_us: float | None


def contenders() -> list[Contender]:
    """Return everybody; the first is what the others are compared with."""
    return [
        _contender("telemetry.enabled = false", enabled=False),
        _contender("no SDK", target_us=15.0),
        _contender("SDK, not sampled, no metrics", sampler=ALWAYS_OFF),
        _contender("SDK, not sampled, metrics", sampler=ALWAYS_OFF, metrics=True),
        _contender("SDK, sampled, no metrics", sampler=ALWAYS_ON),
        _contender("SDK, sampled, metrics", sampler=ALWAYS_ON, metrics=True, target_us=100.0),
        _contender("SDK, sampled, metrics, content", sampler=ALWAYS_ON, metrics=True, content="SPAN_ONLY"),
    ]


def _contender(
    name: str,
    *,
    enabled: bool = True,
    sampler: Sampler | None = None,
    metrics: bool = False,
    content: str = "NO_CONTENT",
    target_us: float | None = None,
) -> Contender:
    tracers: TracerProvider | None = None
    meters: ApiMeterProvider | None = None
    flushes: list[Callable[[], object]] = []
    if sampler is not None:
        tracers = TracerProvider(sampler=ParentBased(sampler), shutdown_on_exit=False)
        tracers.add_span_processor(BatchSpanProcessor(NullSpans()))
        flushes.append(tracers.force_flush)
        meters = NoOpMeterProvider()
    if metrics:
        real = MeterProvider([PeriodicExportingMetricReader(NullMetrics())], shutdown_on_exit=False)
        flushes.append(real.force_flush)
        meters = real
    card = {"backend": "openai", "context_tokens": 128_000, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
    with _environment(content):
        router = Router(
            [{"id": "small", "model": "gpt-4o-mini", **card}, {"id": "large", "model": "gpt-4o", **card}],
            incumbent="large",
            config={"telemetry": {"enabled": enabled}, "router": {"seed": 0}},
            tracer_provider=tracers,
            meter_provider=meters,
        )
    return Contender(name, router, lambda: [flush() for flush in flushes], target_us)


@contextmanager
def _environment(content: str) -> Iterator[None]:
    before = os.environ.get(CAPTURE)
    os.environ[CAPTURE] = content
    try:
        yield
    finally:
        if before is None:
            del os.environ[CAPTURE]
        else:
            os.environ[CAPTURE] = before


def one_step(router: Router) -> None:
    """Carry out a step whose model answers at once."""
    context = StepContext(agent="support", node="triage", run_id="run-1", session_id="session-1", tenant="acme")
    outcome = router.run(Step(messages=MESSAGES, context=context), lambda _: ANSWER)
    assert outcome.status == "ok"


class SdkAlone:
    """The spans and records of a step, made by the SDK with nothing of ours."""

    def __init__(self) -> None:
        spans = InMemorySpanExporter()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(spans))
        with Router({"large": {"model": "gpt-4o", "backend": "openai"}}, tracer_provider=tracers) as router:
            one_step(router)
        self._chat, self._route = (dict(span.attributes or {}) for span in spans.get_finished_spans())
        own = TracerProvider(shutdown_on_exit=False)
        own.add_span_processor(BatchSpanProcessor(NullSpans()))
        self._tracer = own.get_tracer("sdk")
        meters = MeterProvider([PeriodicExportingMetricReader(NullMetrics())], shutdown_on_exit=False)
        self._histogram = meters.get_meter("sdk").create_histogram("duration", unit="s")
        self._labels = {f"label.{number}": "value" for number in range(4)}

    def __call__(self) -> None:
        """Make them."""
        route = self._tracer.start_span("route", attributes=self._route)
        within = trace.set_span_in_context(route)
        chat = self._tracer.start_span("chat", within, attributes=self._chat)
        for _ in range(4):
            self._histogram.record(0.01, self._labels, trace.set_span_in_context(chat, within))
        chat.end()
        route.end()


def measure(everybody: Sequence[Contender], rounds: int) -> tuple[list[Row], float]:
    """Time the steps, what is done behind them, and the SDK alone."""
    taken: dict[str, list[int]] = {one.name: [] for one in everybody}
    sdk, alone = SdkAlone(), list[int]()
    rng = random.Random(0)
    for number in range(-WARM_UP, rounds):
        for one in rng.sample(everybody, len(everybody)):
            started = time.perf_counter_ns()
            one_step(one.router)
            ended = time.perf_counter_ns()
            if number >= 0:
                taken[one.name].append(ended - started)
        started = time.perf_counter_ns()
        sdk()
        alone.append(time.perf_counter_ns() - started)
    behind = {}
    for one in everybody:
        for other in everybody:
            other.flush()
        behind[one.name] = behind_us(one)
    rows = [_row(one, taken[one.name], taken[everybody[0].name], behind[one.name]) for one in everybody]
    return rows, statistics.median(alone) / 1000


def behind_us(one: Contender, steps: int = BLOCK) -> float:
    """Return the processor time that a step costs in other threads than its own, microseconds."""
    mine, everyones = time.thread_time_ns(), time.process_time_ns()
    for _ in range(steps):
        one_step(one.router)
    one.flush()
    mine, everyones = time.thread_time_ns() - mine, time.process_time_ns() - everyones
    return (everyones - mine) / 1000 / steps


def _row(one: Contender, taken: Sequence[int], without: Sequence[int], behind: float) -> Row:
    added = [(a - b) / 1000 for a, b in zip(taken, without, strict=True)]
    p50 = statistics.median(taken) / 1000
    return Row(
        name=one.name,
        p50_us=p50,
        added_us=statistics.median(added),
        added_p90_us=statistics.quantiles(added, n=10)[8],
        ratio=p50 / (statistics.median(without) / 1000),
        behind_us=behind,
        target_us=one.target_us,
    )


def show(rows: Sequence[Row], alone_us: float) -> str:
    """Return the table."""
    lines = [f"{'':<34}{'a step p50':>12}{'added p50':>12}{'p90':>10}{'ratio':>8}{'behind':>10}"]
    for row in rows:
        line = f"{row.name:<34}{row.p50_us:>9.0f} µs{row.added_us:>9.1f} µs{row.added_p90_us:>7.0f} µs"
        line += f"{row.ratio:>8.2f}{row.behind_us:>7.1f} µs"
        if row.target_us is not None:
            line += f"   target <= {row.target_us:g} µs: {'met' if row.added_us <= row.target_us else 'missed'}"
        lines.append(line)
    lines.append(f"{'the SDK alone, for a sampled step':<34}{'':>12}{alone_us:>9.1f} µs")
    return "\n".join(lines)


def profile(one: Contender, steps: int = 3000) -> None:
    """Print where the time of a step goes."""
    profiler = cProfile.Profile()
    for _ in range(WARM_UP):
        one_step(one.router)
    profiler.enable()
    for _ in range(steps):
        one_step(one.router)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="show where the time of a sampled step goes")
    options = parser.parse_args()
    everybody = contenders()
    try:
        if options.profile:
            profile(next(one for one in everybody if one.name == "SDK, sampled, metrics"))
            return
        rows, alone_us = measure(everybody, options.rounds)
    finally:
        for one in everybody:
            one.router.close()
    if options.json:
        found = {"rounds": options.rounds, "rows": [row._asdict() for row in rows], "sdk_alone_us": alone_us}
        print(json.dumps(found, indent=2))
        return
    print(show(rows, alone_us))


if __name__ == "__main__":
    main()
