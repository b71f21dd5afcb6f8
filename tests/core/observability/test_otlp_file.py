"""The trace file: what a collector or a viewer reads is what was recorded."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]  # it ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import Link
from tests.core.observability.recorder import STEP, Recorder, attributes, completion

from taskrouter import MissingExtraError
from taskrouter.observability.otlp_file import write_otlp_json

IDS = ("traceId", "spanId", "parentSpanId")


def recorded(recorder: Recorder) -> None:
    def call(model: str) -> Any:
        if model == "first":
            raise ConnectionError
        return completion()

    with recorder.span("agent") as agent:
        recorder.router().run(STEP, call)
        links = [Link(agent.get_span_context())]
        recorder.tracers.get_tracer("tests").start_span("follow-up", links=links).end()


def parsed(value: Any) -> Any:
    """Turn the file's hexadecimal ids into the base64 that protobuf's own JSON reader expects."""
    if isinstance(value, dict):
        return {k: base64.b64encode(bytes.fromhex(v)).decode() if k in IDS else parsed(v) for k, v in value.items()}
    return [parsed(item) for item in value] if isinstance(value, list) else value


def spans_of(path: Path) -> dict[str, Span]:
    document = parsed(json.loads(path.read_text(encoding="utf-8")))
    request = json_format.ParseDict(document, ExportTraceServiceRequest())
    return {s.name: s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans}


def test_the_file_is_an_otlp_request_with_the_spans_as_recorded(recorder: Recorder, tmp_path: Path) -> None:
    recorded(recorder)
    write_otlp_json(recorder.spans, tmp_path / "trace.json")
    found = spans_of(tmp_path / "trace.json")
    assert set(found) == {span.name for span in recorder.spans}
    for span in recorder.spans:
        read, context = found[span.name], span.get_span_context()
        assert context is not None
        assert int.from_bytes(read.trace_id) == context.trace_id
        assert int.from_bytes(read.span_id) == context.span_id
        assert int.from_bytes(read.parent_span_id) == (span.parent.span_id if span.parent else 0)
        assert (read.start_time_unix_nano, read.end_time_unix_nano) == (span.start_time, span.end_time)
        assert {pair.key: _plain(pair.value) for pair in read.attributes} == attributes(span)


def test_ids_are_hexadecimal_and_enumerations_numbers(recorder: Recorder, tmp_path: Path) -> None:
    recorded(recorder)
    write_otlp_json(recorder.spans, tmp_path / "trace.json")
    document = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    (resource,) = document["resourceSpans"]
    spans = {s["name"]: s for scope in resource["scopeSpans"] for s in scope["spans"]}
    chat, route = spans["chat openai/first"], spans["route chat"]
    assert (len(chat["traceId"]), len(chat["spanId"])) == (32, 16)
    assert chat["parentSpanId"] == route["spanId"]
    assert (chat["kind"], chat["status"]["code"]) == (Span.SPAN_KIND_CLIENT, Status.STATUS_CODE_ERROR)
    (link,) = spans["follow-up"]["links"]
    assert link["spanId"] == spans["agent"]["spanId"]


def test_without_the_sdk_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.common.trace_encoder", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'taskrouter\[otel\]'"):
        write_otlp_json([], tmp_path / "trace.json")
    assert not (tmp_path / "trace.json").exists()


def _plain(value: Any) -> Any:
    if value.HasField("array_value"):
        return tuple(_plain(item) for item in value.array_value.values)
    return getattr(value, value.WhichOneof("value"))
