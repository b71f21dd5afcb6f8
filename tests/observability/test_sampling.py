"""Traces that are sampled, half sampled or not at all: samplers see what they need, metrics are whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes
from tests.core.observability.recorder import HELLO, card, completion
from tests.observability.steps import traced

from taskrouter import Router, Step
from taskrouter.observability import names as n
from taskrouter.observability import step_trace

SHARE, STEPS = 0.25, 200


class ByTask(sampling.Sampler):
    """Records the steps of one task type, and what lies beneath them."""

    def __init__(self, task_type: str) -> None:
        self.task_type = task_type
        self.asked: list[str] = []

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> sampling.SamplingResult:
        found = (attributes or {}).get(n.TASK_TYPE)
        self.asked.append(str(found))
        wanted = sampling.Decision.RECORD_AND_SAMPLE if found == self.task_type else sampling.Decision.DROP
        return sampling.SamplingResult(wanted, attributes)

    def get_description(self) -> str:
        return "ByTask"


class Sampled:
    """A router whose spans go through a sampler."""

    def __init__(self, sampler: sampling.Sampler) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.router = Router(
            [card("first"), card("second")],
            "first",
            config={"execution": {"retries": 0}},
            tracer_provider=tracers,
            meter_provider=MeterProvider([self.reader], shutdown_on_exit=False),
        )

    def decisions(self) -> tuple[int, int]:
        """Return how many steps the metrics know of, and how many exemplars they have."""
        data = self.reader.get_metrics_data()
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        counted: list[Any] = [p for m in metrics if m.name == n.DECISIONS for p in m.data.data_points]
        timed: list[Any] = [p for m in metrics if m.name == n.DECISION_DURATION for p in m.data.data_points]
        return sum(p.value for p in counted), sum(len(p.exemplars) for p in timed)


def step(task_type: Any = "chat") -> Step:
    return Step(messages=[{"role": "user", "content": "hello"}], task_type=task_type)


def over_a_dead_first_model(model: str) -> Any:
    if model == "first":
        raise ConnectionError
    return completion()


def test_a_share_of_the_traces_is_whole_and_all_steps_are_counted() -> None:
    sampled = Sampled(sampling.ParentBased(sampling.TraceIdRatioBased(SHARE)))
    for _ in range(STEPS):
        sampled.router.run(step(), lambda model: completion())
    steps = traced(sampled.exporter.get_finished_spans())
    assert 0 < len(steps) < STEPS
    assert {len(one.chats) for one in steps} == {1}
    assert sampled.decisions()[0] == STEPS


def test_of_a_trace_that_is_not_sampled_steps_are_counted_without_exemplars() -> None:
    sampled = Sampled(sampling.ALWAYS_OFF)
    sampled.router.run(step(), over_a_dead_first_model)
    list(sampled.router.run_stream(step(), lambda model: iter(HELLO)))
    assert sampled.exporter.get_finished_spans() == ()
    assert sampled.decisions() == (2, 0)


def test_a_step_beneath_an_unsampled_span_is_not_sampled() -> None:
    sampled = Sampled(sampling.ParentBased(sampling.ALWAYS_ON))
    outside = TracerProvider(sampler=sampling.ALWAYS_OFF, shutdown_on_exit=False).get_tracer("application")
    with outside.start_as_current_span("request"):
        sampled.router.run(step(), over_a_dead_first_model)
    assert sampled.exporter.get_finished_spans() == ()
    assert sampled.decisions() == (1, 0)


def test_a_sampler_can_choose_by_task_type() -> None:
    sampler = ByTask("summarization")
    sampled = Sampled(sampling.ParentBased(sampler))
    for task_type in ("chat", "summarization", "chat"):
        sampled.router.run(step(task_type), over_a_dead_first_model)
    (one,) = traced(sampled.exporter.get_finished_spans())
    assert (one.route.name, len(one.chats)) == ("route summarization", 2)
    assert sampler.asked == ["chat", "summarization", "chat"], "what lies beneath follows its parent"


@pytest.mark.parametrize("ask", ["plain", "streamed"])
def test_nothing_is_put_together_for_a_span_that_is_not_recorded(ask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> NoReturn:
        raise AssertionError("nobody would see it")

    for work in ("chat_end", "route_end"):
        monkeypatch.setattr(step_trace, work, never)
    sampled = Sampled(sampling.ALWAYS_OFF)
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: sampled.router.run(step(), over_a_dead_first_model),
        "streamed": lambda: list(sampled.router.run_stream(step(), lambda model: iter(HELLO))),
    }
    ways[ask]()
    assert sampled.decisions() == (1, 0)
