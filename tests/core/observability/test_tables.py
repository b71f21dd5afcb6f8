"""The tables of attributes and metrics say what is emitted, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.metrics.export import Histogram, Sum
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from tests.core.observability.recorder import Recorder, attributes
from tests.core.observability.scenarios import play

from taskrouter.observability import names as n
from taskrouter.observability.attribute_table import ATTRIBUTES, Place
from taskrouter.observability.conventions import NEWEST, SWITCH, Convention, chosen
from taskrouter.observability.metric_table import METRICS, metrics

ROWS = {row.name: row for row in ATTRIBUTES}
TYPES = {"string": str, "int": int, "double": float, "boolean": bool}
PLACES: dict[str, Place] = {"route": "route", "chat": "chat", "feedback": "feedback"}


class Starts(SpanProcessor):
    """What stood on each span when it started."""

    def __init__(self) -> None:
        self.known: dict[int, set[str]] = {}

    def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
        self.known[span.get_span_context().span_id] = set(span.attributes or {})


class Played:
    """What is emitted by steps of every kind."""

    def __init__(self, directory: Path) -> None:
        self.recorder, self.starts = Recorder(), Starts()
        self.recorder.tracers.add_span_processor(self.starts)
        play(self.recorder, directory)
        self.metrics = self.recorder.metrics()
        self.recorder.shutdown()

    def places(self) -> Iterator[tuple[Place, ReadableSpan]]:
        for span in self.recorder.spans:
            yield PLACES[span.name.split(" ")[0]], span

    def at_start(self, span: ReadableSpan) -> set[str]:
        context = span.get_span_context()
        assert context is not None
        return self.starts.known[context.span_id]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("played"))


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Played:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, f"http/dup, {NEWEST}")
        return Played(tmp_path_factory.mktemp("newest"))


def test_no_name_stands_in_a_table_twice() -> None:
    assert len(ROWS) == len(ATTRIBUTES)
    assert len({row.name for row in METRICS}) == len(METRICS)


def test_every_attribute_stands_on_the_spans_of_the_table_and_on_no_other(played: Played) -> None:
    found: dict[Place, set[str]] = {place: set() for place in ("route", "chat", "feedback", "link")}
    for place, span in played.places():
        found[place] |= set(attributes(span))
        found["link"] |= {key for link in span.links for key in link.attributes or {}}
    assert found == {place: {row.name for row in ATTRIBUTES if place in row.on} for place in found}


def test_every_attribute_has_the_type_of_the_table(played: Played) -> None:
    wrong = [
        (span.name, name, value)
        for _, span in played.places()
        for name, value in attributes(span).items()
        if not _is(value, ROWS[name].type)
    ]
    assert wrong == []


def _is(value: Any, kind: str) -> bool:
    if kind.endswith("[]"):
        return isinstance(value, tuple) and all(_is(part, kind.removesuffix("[]")) for part in value)
    return type(value) is TYPES[kind]


def test_what_the_table_says_of_the_start_is_there_for_samplers(played: Played) -> None:
    late, early = set(), set()
    for place, span in played.places():
        known = played.at_start(span)
        late |= {name for name in set(attributes(span)) - known if ROWS[name].on[place] == "start"}
        if span.name != "route":  # of a step that is refused all is known at once
            early |= {name for name in known if ROWS[name].on[place] == "end"}
    assert (late, early) == (set(), set())


@pytest.mark.parametrize("convention", ["released", "newest"])
def test_every_metric_is_as_the_table_says(convention: Convention, request: pytest.FixtureRequest) -> None:
    emitted: dict[str, Any] = request.getfixturevalue("newest" if convention == "newest" else "played").metrics
    table = {row.name: row for row in metrics(convention)}
    assert set(emitted) == set(table)
    kinds = {"counter": Sum, "histogram": Histogram}
    for name, row in table.items():
        metric, points = emitted[name], emitted[name].data.data_points
        assert (metric.unit, metric.description) == (row.unit, row.meaning), name
        assert isinstance(metric.data, kinds[row.kind]), name
        assert getattr(metric.data, "is_monotonic", True), name
        assert all(tuple(point.explicit_bounds) == row.buckets for point in points if row.buckets), name
        sets = [set(point.attributes) for point in points]
        assert set.intersection(*sets) == set(row.labels), name
        assert set.union(*sets) == {*row.labels, *row.sometimes}, name


def test_every_label_of_a_metric_is_in_the_table_of_attributes() -> None:
    labels = {label for row in METRICS for label in (*row.labels, *row.sometimes)}
    assert labels <= set(ROWS)
    assert {row.name for row in ATTRIBUTES if not row.on} <= labels, "a row without a span is a label"
    never = {row.name for row in ATTRIBUTES if row.origin != "facts"} - {n.FEEDBACK_SOURCE}  # that is a closed list
    assert not labels & (never | {n.DECISION_ID, n.DECISION_OF, n.RESPONSE_ID, n.POLICY_VERSION})


def test_every_constant_is_in_a_table() -> None:
    others = {n.SCOPE, n.SCHEMA_URL, n.CONTENT_EVENT}
    names = {value for name, value in vars(n).items() if name.isupper() and isinstance(value, str)} - others
    assert names == set(ROWS) | {row.name for row in METRICS}


@pytest.mark.parametrize("names", [list(ROWS), [row.name for row in METRICS]], ids=["attributes", "metrics"])
def test_no_name_is_a_dotted_prefix_of_another(names: list[str]) -> None:
    assert [(a, b) for a in names for b in names if b.startswith(f"{a}.")] == []


# --- the versions of the conventions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "convention"),
    [
        (None, "released"),
        ("", "released"),
        ("http", "released"),
        ("gen_ai_latest_experimental", "newest"),
        ("http , gen_ai_latest_experimental", "newest"),
    ],
)
def test_the_conventions_own_switch_selects_the_newest(
    monkeypatch: pytest.MonkeyPatch, value: str | None, convention: Convention
) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    if value is not None:
        monkeypatch.setenv(SWITCH, value)
    assert chosen() == convention


def test_the_released_names_are_those_of_the_last_constants_package() -> None:
    constants = {value for name, value in vars(gen_ai_metrics).items() if name.startswith("GEN_AI_")}
    assert {row.name for row in METRICS if row.convention == "released"} <= constants
    keys = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    ours = {row.name for row in ATTRIBUTES if row.name.startswith("gen_ai.")}
    costs = {n.COST_AMOUNT, n.COST_AMOUNT_CURRENCY, n.COST_SOURCE}  # no convention has a cost
    assert ours - keys == costs | {n.MODALITY}


def test_spans_and_metrics_name_the_schema_they_follow(played: Played, newest: Played) -> None:
    schemas = [
        {s.instrumentation_scope.schema_url for s in one.recorder.spans if s.instrumentation_scope is not None}
        for one in (played, newest)
    ]
    assert schemas == [
        {"https://opentelemetry.io/schemas/1.41.0"},
        {"https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"},
    ]
