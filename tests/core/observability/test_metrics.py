"""The metrics: the convention's for every call, ours for decisions, fallbacks and money."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.core.observability.recorder import MODELS, STEP, Recorder, card, completion

from taskrouter import AllAttemptsFailedError, Router, Step, StepContext
from taskrouter.observability import names as n

CALL = {n.OPERATION, n.PROVIDER, n.GENAI_REQUEST_MODEL}
LABELS = {
    n.OPERATION_DURATION: {*CALL, n.ERROR_TYPE},
    n.USAGE_PER_CALL: {*CALL, n.USAGE_TYPE},
    n.COST: {*CALL, n.TASK_TYPE},
    n.FALLBACKS: {*CALL, n.ERROR_TYPE},
    n.DECISION_DURATION: {n.DECISION_MODEL, n.TASK_TYPE, n.POLICY_NAME},
    n.DECISIONS: {n.DECISION_MODEL, n.TASK_TYPE, n.POLICY_NAME, n.DECISION_REASON},
}


def first_fails(model: str) -> Any:
    if model == "first":
        raise ConnectionError
    return completion()


def test_a_call_is_measured_by_the_conventions_instruments(recorder: Recorder) -> None:
    outcome = recorder.router().run(STEP, lambda model: completion())
    call = {n.OPERATION: "chat", n.PROVIDER: "openai", n.GENAI_REQUEST_MODEL: "openai/first"}
    points = recorder.points()
    assert points[n.OPERATION_DURATION] == [(call, pytest.approx(outcome.attempts[0].latency_s))]
    assert points[n.USAGE_PER_CALL] == [
        ({**call, n.USAGE_TYPE: "input"}, 100),
        ({**call, n.USAGE_TYPE: "output"}, 10),
    ]
    assert points[n.COST] == [({**call, n.TASK_TYPE: "chat"}, pytest.approx(outcome.cost_usd))]
    assert n.FALLBACKS not in points


def test_a_decision_is_counted_and_timed(recorder: Recorder) -> None:
    outcome = recorder.router().run(STEP, lambda model: completion())
    decision = {n.DECISION_MODEL: "first", n.TASK_TYPE: "chat", n.POLICY_NAME: "safe"}
    points = recorder.points()
    assert points[n.DECISION_DURATION] == [(decision, pytest.approx(outcome.decision.duration_s))]
    assert points[n.DECISIONS] == [({**decision, n.DECISION_REASON: "incumbent"}, 1)]


def test_units_and_buckets(recorder: Recorder) -> None:
    recorder.router().run(STEP, first_fails)
    metrics = recorder.metrics()
    assert {name: metric.unit for name, metric in metrics.items()} == {
        n.OPERATION_DURATION: "s",
        n.USAGE_PER_CALL: "{token}",
        n.DECISION_DURATION: "s",
        n.DECISIONS: "{decision}",
        n.FALLBACKS: "{fallback}",
        n.COST: "USD",
    }
    histograms = (n.OPERATION_DURATION, n.USAGE_PER_CALL, n.DECISION_DURATION)
    bounds = {name: metrics[name].data.data_points[0].explicit_bounds for name in histograms}
    assert bounds[n.OPERATION_DURATION] == tuple(0.01 * 2**i for i in range(14))
    assert bounds[n.USAGE_PER_CALL] == tuple(4**i for i in range(14))
    assert (bounds[n.DECISION_DURATION][0], bounds[n.DECISION_DURATION][-1]) == (1e-5, 1.0)


def test_a_failed_call_is_timed_under_its_error_and_counts_no_tokens(recorder: Recorder) -> None:
    recorder.router().run(STEP, first_fails)
    points = recorder.points()
    timed = {labels[n.GENAI_REQUEST_MODEL]: labels.get(n.ERROR_TYPE) for labels, _ in points[n.OPERATION_DURATION]}
    assert timed == {"openai/first": "connection", "openai/second": None}
    assert {labels[n.GENAI_REQUEST_MODEL] for labels, _ in points[n.USAGE_PER_CALL]} == {"openai/second"}


def test_a_fallback_counts_where_a_model_was_left_for_another(recorder: Recorder) -> None:
    recorder.router().run(STEP, first_fails)
    ((labels, count),) = recorder.points()[n.FALLBACKS]
    assert (labels[n.GENAI_REQUEST_MODEL], labels[n.ERROR_TYPE], count) == ("openai/first", "connection", 1)


def test_the_last_models_failure_is_no_fallback(recorder: Recorder) -> None:
    def call(model: str) -> Any:
        raise ConnectionError

    with pytest.raises(AllAttemptsFailedError):
        recorder.router().run(STEP, call)
    ((labels, count),) = recorder.points()[n.FALLBACKS]
    assert (labels[n.GENAI_REQUEST_MODEL], count) == ("openai/first", 1)


def test_an_unknown_price_adds_nothing_to_the_cost(recorder: Recorder) -> None:
    recorder.router([card("first", output_usd_per_million=None)]).run(STEP, lambda model: completion())
    assert n.COST not in recorder.points()


@given(
    contexts=st.lists(
        st.builds(
            StepContext,
            agent=st.text(max_size=8),
            node=st.text(max_size=8),
            index=st.integers(0, 9),
            run_id=st.uuids().map(str),
            session_id=st.uuids().map(str),
            tenant=st.text(max_size=8),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_labels_are_few_and_never_say_who_asked(contexts: list[StepContext]) -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    router = Router(
        [card(name) for name in MODELS], "first", config={"execution": {"retries": 0}}, meter_provider=meters
    )
    for context in contexts:
        router.run(Step(messages=STEP.messages, task_type="chat", context=context), first_fails)
    data = reader.get_metrics_data()
    meters.shutdown()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    labels = {metric.name: [dict(point.attributes or {}) for point in metric.data.data_points] for metric in metrics}
    assert set(labels) == set(LABELS)
    assert all(set(given) <= LABELS[name] for name, found in labels.items() for given in found)
    # Two models, one of which fails: however many steps, runs, sessions and tenants there are.
    assert {name: len(found) for name, found in labels.items()} == {
        n.OPERATION_DURATION: 2,
        n.USAGE_PER_CALL: 2,
        n.COST: 1,
        n.FALLBACKS: 1,
        n.DECISION_DURATION: 1,
        n.DECISIONS: 1,
    }
