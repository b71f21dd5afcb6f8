"""Spans as an OTLP-JSON file, which trace viewers and collectors import, written and read."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskrouter.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_IDS = ("traceId", "spanId", "parentSpanId")


def write_otlp_json(spans: Sequence[ReadableSpan], path: Path) -> None:
    """Write finished spans as one `ExportTraceServiceRequest` in the JSON encoding of OTLP.

    The encoding differs from protobuf's own JSON in that ids are hexadecimal
    (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).

    Raises:
        MissingExtraError: the extra `otel` is not installed.
    """
    encoder, json_format = _modules(
        "opentelemetry.exporter.otlp.proto.common.trace_encoder", "google.protobuf.json_format"
    )
    document = json_format.MessageToDict(encoder.encode_spans(list(spans)), use_integers_for_enums=True)
    path.write_text(json.dumps(_with_hex_ids(document), indent=1), encoding="utf-8")


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex() if key in _IDS and isinstance(item, str) else _with_hex_ids(item)
            for key, item in value.items()
        }
    return [_with_hex_ids(item) for item in value] if isinstance(value, list) else value


def read_otlp_json(path: Path) -> list[bytes]:
    """Read a file of OTLP-JSON: one request, or one a line as collectors write them. Returns them as protobuf.

    Raises:
        ConfigurationError: it is no such file.
        MissingExtraError: the extra `otel` is not installed.
    """
    json_format, service = _modules(
        "google.protobuf.json_format", "opentelemetry.proto.collector.trace.v1.trace_service_pb2"
    )
    requests = []
    try:
        for document in _documents(path.read_text(encoding="utf-8")):
            request = service.ExportTraceServiceRequest()
            json_format.ParseDict(_with_base64_ids(document), request, ignore_unknown_fields=True)
            requests.append(request)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, json_format.ParseError) as error:
        # The error's text may quote the file, and with it a prompt.
        raise ConfigurationError(f"{path}: is no OTLP-JSON file of spans ({type(error).__name__})") from error
    if not any(scope.spans for request in requests for spans in request.resource_spans for scope in spans.scope_spans):
        raise ConfigurationError(f"{path}: has no spans in it")
    return [request.SerializeToString() for request in requests]


def _modules(*names: str) -> list[Any]:
    try:
        return [import_module(name) for name in names]
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "opentelemetry-sdk", extra="otel", wanted_for="the trace file") from error


def _documents(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _with_base64_ids(value: Any) -> Any:
    """Turn hexadecimal ids into what protobuf's own JSON reader expects."""
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode()
            if key in _IDS and isinstance(item, str)
            else _with_base64_ids(item)
            for key, item in value.items()
        }
    return [_with_base64_ids(item) for item in value] if isinstance(value, list) else value
