"""What a collector is really sent: OTLP's bytes, taken by a server of our own and decoded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from tests.core.observability.collector import Collector, collecting
from tests.core.observability.recorder import HELLO, card, completion

from taskrouter import AllAttemptsFailedError, Outcome, Router, Step, StepContext, __version__
from taskrouter.observability import names as n

INTERNAL, CLIENT = Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_CLIENT
STEP = Step(
    messages=[{"role": "user", "content": "hello"}],
    task_type="chat",
    context=StepContext(agent="writer", index=3, session_id="talk-1", tenant="acme"),
)


class Sent(NamedTuple):
    """A span with what it was sent in."""

    span: Span
    resource: dict[str, Any]
    scope: tuple[str, str, str]
    """Name, version and schema."""

    @property
    def said(self) -> dict[str, Any]:
        return values(self.span.attributes)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@contextmanager
def reporting(collector: Collector, **config: Any) -> Iterator[Router]:
    """A router whose telemetry goes to the collector as it does in production; all of it is there at the end."""
    resource = Resource({"service.name": "shop", "deployment.environment.name": "test"})
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces")))
    exporter = OTLPMetricExporter(endpoint=f"{collector.url}/v1/metrics")
    meters = MeterProvider([PeriodicExportingMetricReader(exporter)], resource, shutdown_on_exit=False)
    with Router(
        [card("first"), card("second")],
        "first",
        config={"execution": {"retries": 0}, **config},
        tracer_provider=tracers,
        meter_provider=meters,
    ) as router:
        yield router
    tracers.shutdown()
    meters.shutdown()


def answer(model: str) -> Any:
    return completion()


def over_a_dead_first_model(model: str) -> Any:
    if model == "first":
        raise ConnectionError
    return completion()


def fail(model: str) -> Any:
    raise ConnectionError


def test_a_step_is_sent_as_the_conventions_have_it(collector: Collector) -> None:
    with reporting(collector) as router:
        router.run(STEP, over_a_dead_first_model)
    route, first, second = spans(collector)
    assert [sent.span.name for sent in (route, first, second)] == [
        "route chat",
        "chat openai/first",
        "chat openai/second",
    ]
    assert [sent.span.kind for sent in (route, first, second)] == [INTERNAL, CLIENT, CLIENT]
    assert route.span.parent_span_id == b""
    assert {sent.span.parent_span_id for sent in (first, second)} == {route.span.span_id}
    assert len({sent.span.trace_id for sent in (route, first, second)}) == 1
    statuses = [Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET]
    assert [sent.span.status.code for sent in (route, first, second)] == statuses
    assert [sent.span.status.message for sent in (route, first, second)] == ["", "connection", ""]
    for sent in (route, first, second):
        assert sent.scope == (n.SCOPE, __version__, n.SCHEMA_URL)
        assert sent.resource["service.name"] == "shop"
        assert 0 < sent.span.start_time_unix_nano <= sent.span.end_time_unix_nano
        assert not sent.span.events


def test_attributes_are_sent_as_what_they_are(collector: Collector) -> None:
    with reporting(collector) as router:
        outcome = router.run(STEP, answer)
    route, chat = (sent.said for sent in spans(collector))
    assert route[n.DECISION_ID] == chat[n.DECISION_ID] == outcome.decision_id
    assert route[n.DECISION_CANDIDATES] == ["first", "second"]
    assert [type(score) for score in route[n.DECISION_SCORES]] == [float, float]
    assert (route[n.STEP_INDEX], route[n.FALLBACK_USED], route[n.OUTCOME_STATUS]) == (3, False, "ok")
    assert route[n.COST_TOTAL] == chat[n.COST_AMOUNT] == outcome.cost_usd
    assert route[n.CONVERSATION_ID] == chat[n.CONVERSATION_ID] == "talk-1"
    assert (chat[n.INPUT_TOKENS], chat[n.FINISH_REASONS], chat[n.SERVER_PORT]) == (100, ["stop"], 9)
    assert not [name for name in route if name.startswith(("gen_ai.operation", "gen_ai.usage"))]


def test_a_stream_and_an_exhausted_step_are_sent(collector: Collector) -> None:
    with reporting(collector) as router:
        list(router.run_stream(STEP, lambda model: iter(HELLO)))
        with pytest.raises(AllAttemptsFailedError):
            router.run(STEP, fail)
    streamed, exhausted = (sent for sent in spans(collector) if sent.span.name == "route chat")
    assert (streamed.said[n.OUTCOME_STATUS], exhausted.said[n.OUTCOME_STATUS]) == ("ok", "exhausted")
    assert exhausted.span.status.code == Status.STATUS_CODE_ERROR
    chat = next(sent for sent in spans(collector) if sent.span.parent_span_id == streamed.span.span_id)
    assert chat.said[n.GENAI_REQUEST_STREAM] is True
    assert chat.said[n.FIRST_CHUNK] >= 0


def test_late_feedback_is_sent_with_a_link_to_the_step(collector: Collector) -> None:
    with reporting(collector) as router:
        outcome = router.run(STEP, answer)
        router.feedback(outcome.decision_id, 0.5)
    check_link(collector, outcome)


def test_feedback_of_another_process_links_to_the_step(collector: Collector, tmp_path: Path) -> None:
    state = {"state": {"url": f"sqlite:///{tmp_path / 'state.db'}"}}
    with reporting(collector, **state) as router:
        outcome = router.run(STEP, answer)
    script = f"""
from tests.core.observability.collector import Collector
from tests.observability.test_wire import reporting
collector = Collector()
collector.url = {collector.url!r}
with reporting(collector, state={state["state"]!r}) as router:
    router.feedback({outcome.decision_id!r}, 0.5)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    check_link(collector, outcome)


def check_link(collector: Collector, outcome: Outcome[Any]) -> None:
    route = next(sent for sent in spans(collector) if sent.span.name == "route chat")
    feedback = next(sent for sent in spans(collector) if sent.span.name == "feedback")
    (link,) = feedback.span.links
    assert (link.trace_id, link.span_id) == (route.span.trace_id, route.span.span_id)
    assert values(link.attributes) == {n.DECISION_ID: outcome.decision_id}
    assert feedback.span.trace_id != route.span.trace_id, "the step's trace is long over"
    assert (feedback.said[n.FEEDBACK_SCORE], feedback.said[n.DECISION_ID]) == (0.5, outcome.decision_id)


def test_metrics_are_sent_with_exemplars_that_lead_to_their_spans(collector: Collector) -> None:
    with reporting(collector) as router:
        outcome = router.run(STEP, answer)
    route, chat = spans(collector)
    sent = points(collector)
    for name, span in (
        (n.OPERATION_DURATION, chat),
        (n.DECISION_DURATION, route),
    ):
        (point,) = sent[name]
        (exemplar,) = point.exemplars
        assert (exemplar.trace_id, exemplar.span_id) == (span.span.trace_id, span.span.span_id), name
    (cost,), (duration,) = sent[n.COST], sent[n.OPERATION_DURATION]
    assert cost.as_double == outcome.cost_usd
    assert values(cost.attributes)[n.GENAI_REQUEST_MODEL] == "openai/first"
    assert (duration.count, list(duration.explicit_bounds)[:2]) == (1, [0.01, 0.02])
    tokens = {values(point.attributes)[n.USAGE_TYPE]: point.sum for point in sent[n.USAGE_PER_CALL]}
    assert tokens == {"input": 100, "output": 10}


def spans(collector: Collector) -> list[Sent]:
    """Return every span so far, in the order in which they began."""
    found = [
        Sent(span, values(resource.resource.attributes), (scope.scope.name, scope.scope.version, scope.schema_url))
        for request in bodies(collector, "/v1/traces", ExportTraceServiceRequest)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    return sorted(found, key=lambda sent: int(sent.span.start_time_unix_nano))


def points(collector: Collector) -> dict[str, list[Any]]:
    """Return the points of every metric."""
    return {
        metric.name: list(getattr(metric, metric.WhichOneof("data")).data_points)
        for request in bodies(collector, "/v1/metrics", ExportMetricsServiceRequest)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def bodies(collector: Collector, path: str, message: Any) -> list[Any]:
    return [message.FromString(body) for at, _, body in collector.requests if at == path]


def values(attributes: Sequence[Any]) -> dict[str, Any]:
    return {pair.key: value(pair.value) for pair in attributes}


def value(any_value: Any) -> Any:
    kind = any_value.WhichOneof("value")
    found = getattr(any_value, kind)
    return [value(part) for part in found.values] if kind == "array_value" else found
