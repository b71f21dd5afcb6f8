"""Telemetry that is off, missing or broken: the user's call goes on as if nothing were."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, NoReturn

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import INVALID_SPAN, get_current_span
from tests.core.observability.recorder import HELLO, MODELS, STEP, Recorder, card

from taskrouter import Router
from taskrouter.observability import step_trace


def router(tracers: trace.TracerProvider | None = None, meters: metrics.MeterProvider | None = None) -> Router:
    config = {"execution": {"retries": 0}}
    return Router([card(m) for m in MODELS], "first", config=config, tracer_provider=tracers, meter_provider=meters)


# --- the four ways to ask; the first model fails ---------------------------------------------------------------------


def plain(router: Router) -> str:
    def call(model: str) -> str:
        if model == "first":
            raise ConnectionError
        return "hello"

    return router.run(STEP, call).text


def awaited(router: Router) -> str:
    async def call(model: str) -> str:
        await asyncio.sleep(0)
        if model == "first":
            raise ConnectionError
        return "hello"

    async def run() -> str:
        return (await router.arun(STEP, call)).text

    return asyncio.run(run())


def streamed(router: Router) -> str:
    def open_stream(model: str) -> Iterator[Any]:
        if model == "first":
            raise ConnectionError
        yield from HELLO

    return "".join(c["choices"][0]["delta"]["content"] for c in router.run_stream(STEP, open_stream))


def streamed_async(router: Router) -> str:
    async def open_stream(model: str) -> AsyncIterator[Any]:
        if model == "first":
            raise ConnectionError
        for piece in HELLO:
            yield piece

    async def run() -> str:
        stream = router.arun_stream(STEP, open_stream)
        return "".join([c["choices"][0]["delta"]["content"] async for c in stream])

    return asyncio.run(run())


WAYS = [plain, awaited, streamed, streamed_async]


# --- parts that fail -------------------------------------------------------------------------------------------------


def fail(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("telemetry is broken")


class BrokenTracer(trace.NoOpTracer):
    start_span = fail


class BrokenSpan(trace.NonRecordingSpan):
    is_recording = staticmethod(lambda: True)
    set_attribute = set_attributes = set_status = end = fail


class BrokenSpanTracer(trace.NoOpTracer):
    def start_span(self, *_: Any, **__: Any) -> trace.Span:
        return BrokenSpan(trace.INVALID_SPAN_CONTEXT)


class Tracers(trace.TracerProvider):
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return self._tracer


class BrokenHistogram(metrics.NoOpMeter):
    def create_histogram(self, *_: Any, **__: Any) -> Any:
        return type("Broken", (), {"record": fail})()

    def create_counter(self, *_: Any, **__: Any) -> Any:
        return type("Broken", (), {"add": fail})()


class Meters(metrics.MeterProvider):
    def get_meter(self, *_: Any, **__: Any) -> metrics.Meter:
        return BrokenHistogram("broken")


class BrokenStart(SpanProcessor):
    on_start = fail


class BrokenEnd(SpanProcessor):
    on_end = fail


class BrokenExporter(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        fail()


def processing(processor: SpanProcessor) -> Router:
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(processor)
    return router(tracers)


BROKEN: dict[str, Callable[[], Router]] = {
    "tracer": lambda: router(Tracers(BrokenTracer())),
    "span": lambda: router(Tracers(BrokenSpanTracer())),
    "instruments": lambda: router(meters=Meters()),
    "processor, at the start": lambda: processing(BrokenStart()),
    "processor, at the end": lambda: processing(BrokenEnd()),
    "exporter": lambda: processing(SimpleSpanProcessor(BrokenExporter())),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", BROKEN)
def test_a_broken_part_costs_telemetry_and_never_the_answer(
    part: str, way: Callable[[Router], str], caplog: pytest.LogCaptureFixture
) -> None:
    with BROKEN[part]() as asked:
        assert way(asked) == "hello"
    assert get_current_span() is INVALID_SPAN
    # OpenTelemetry's own words are about its processors and exporters, ours about what we call.
    assert [r for r in caplog.records if r.name.startswith(("opentelemetry", "taskrouter.observability"))]


@pytest.mark.parametrize("part", BROKEN)
def test_a_broken_part_leaves_the_callers_error_as_it_is(part: str) -> None:
    def call(model: str) -> str:
        raise KeyboardInterrupt

    with BROKEN[part]() as asked, pytest.raises(KeyboardInterrupt):
        asked.run(STEP, call)


def test_a_failure_of_ours_is_logged_with_its_place_and_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "taskrouter"):
        plain(router(Tracers(BrokenTracer())))
    record = next(r for r in caplog.records if r.name == "taskrouter.observability")
    assert record.getMessage().startswith(f"telemetry failed in _start_visit: RuntimeError at {__file__}:")
    assert record.exc_info is None


@pytest.mark.parametrize("description", ["chat_end", "route_end"])
def test_a_span_that_cannot_be_described_ends_all_the_same(description: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_trace, description, fail)
    recording = Recorder()
    assert plain(recording.router()) == "hello"
    assert len(recording.spans) == 3
    assert recording.open == {}
    recording.shutdown()


@pytest.mark.parametrize("way", WAYS)
def test_an_unsampled_trace_records_nothing_and_changes_nothing(way: Callable[[Router], str]) -> None:
    ended: list[str] = []

    class Listener(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span.name)

    tracers = TracerProvider(sampler=sampling.ALWAYS_OFF, shutdown_on_exit=False)
    tracers.add_span_processor(Listener())
    assert way(router(tracers)) == "hello"
    assert ended == []
    assert get_current_span() is INVALID_SPAN


@pytest.mark.parametrize("way", WAYS)
def test_telemetry_can_be_switched_off(way: Callable[[Router], str], recorder: Recorder) -> None:
    assert way(recorder.router(telemetry={"enabled": False})) == "hello"
    assert recorder.spans == ()
    assert recorder.points() == {}


def outside(script: str) -> str:
    """Run a script in a process of its own: the global providers can be set but once."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_without_an_sdk_everything_works() -> None:
    script = """
        import sys

        class NoSDK:
            def find_spec(self, name, *_):
                if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, NoSDK())
        from taskrouter import Router, Step

        router = Router([{"id": "a", "base_url": "http://127.0.0.1:9"}])
        step = Step(messages=[{"role": "user", "content": "hello"}])
        chunk = {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}
        stream = router.run_stream(step, lambda model: iter([chunk]))
        print(router.run(step, lambda model: "hi").text, len(list(stream)))
    """
    assert outside(script) == "hi 1"


def test_an_sdk_installed_after_the_router_is_used() -> None:
    script = """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from taskrouter import Router, Step

        router = Router([{"id": "a", "base_url": "http://127.0.0.1:9"}])
        step = Step(messages=[{"role": "user", "content": "hello"}], task_type="chat")
        router.run(step, lambda model: "hi")
        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        router.run(step, lambda model: "hi")
        print(*[span.name for span in exporter.get_finished_spans()], sep=", ")
    """
    assert outside(script) == "chat a, route chat"


def test_the_router_sets_no_global_provider() -> None:
    script = """
        from opentelemetry import metrics, trace
        from taskrouter import Router, Step

        router = Router([{"id": "a", "base_url": "http://127.0.0.1:9"}])
        router.run(Step(messages=[{"role": "user", "content": "hello"}]), lambda model: "hi")
        print(type(trace.get_tracer_provider()).__name__, type(metrics.get_meter_provider()).__name__)
    """
    assert outside(script) == "ProxyTracerProvider _ProxyMeterProvider"
