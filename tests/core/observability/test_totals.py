"""Counters are asked for their sums: nothing is lost or counted twice, whoever counts and whoever reads."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from tests.core.observability.recorder import STEP, Recorder, completion

from taskrouter import Router
from taskrouter.observability import names as n
from taskrouter.observability.totals import Total


def steps(recorder: Recorder) -> float:
    return float(sum(value for _, value in recorder.points().get(n.DECISIONS, [])))


def run(router: Router, count: int = 1) -> None:
    for _ in range(count):
        router.run(STEP, lambda model: completion())


def test_threads_that_count_at_once_lose_nothing(recorder: Recorder) -> None:
    router = recorder.router()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: run(router, 50), range(8)))
    assert steps(recorder) == 400


def test_routers_that_report_to_one_provider_are_added_up(recorder: Recorder) -> None:
    run(recorder.router(), 2)
    run(recorder.router(), 3)
    assert steps(recorder) == 5


def test_what_a_router_has_counted_stays_when_it_is_gone(recorder: Recorder) -> None:
    run(recorder.router(), 2)
    gc.collect()
    assert steps(recorder) == 2


def test_providers_are_told_apart(recorder: Recorder) -> None:
    other = Recorder()
    run(recorder.router(), 2)
    run(other.router())
    assert (steps(recorder), steps(other)) == (2, 1)
    other.shutdown()


def test_a_reader_of_differences_gets_differences() -> None:
    reader = InMemoryMetricReader({ObservableCounter: AggregationTemporality.DELTA})
    meters = MeterProvider([reader], shutdown_on_exit=False)
    router = Router({"large": {"model": "openai/gpt-4o", "backend": "openai"}}, meter_provider=meters)
    seen = []
    for count in (2, 3):
        run(router, count)
        seen.append(_decisions(reader))
    assert seen == [2, 3]


def _decisions(reader: InMemoryMetricReader) -> float:
    data = reader.get_metrics_data()
    assert data is not None
    points: list[Any] = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == n.DECISIONS
        for point in metric.data.data_points
    ]
    return float(sum(point.value for point in points))


def test_a_stream_that_ends_in_the_middle_of_an_addition_waits_for_nobody() -> None:
    total = Total()
    with total._lock:  # as where its garbage is collected while the same thread adds to the same counter
        total.add(1, {"a": "b"})
    total.add(2, {"a": "b"})
    (seen,) = total.observe(None)  # type: ignore[arg-type]
    assert (seen.value, seen.attributes) == (3, {"a": "b"})
