"""Spans as an OTLP-JSON file, which trace viewers and collectors import."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskrouter.errors import MissingExtraError

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
    try:
        encoder = import_module("opentelemetry.exporter.otlp.proto.common.trace_encoder")
        json_format = import_module("google.protobuf.json_format")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "opentelemetry-sdk", extra="otel", wanted_for="the trace file") from error
    document = json_format.MessageToDict(encoder.encode_spans(list(spans)), use_integers_for_enums=True)
    path.write_text(json.dumps(_with_hex_ids(document), indent=1), encoding="utf-8")


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex() if key in _IDS and isinstance(item, str) else _with_hex_ids(item)
            for key, item in value.items()
        }
    return [_with_hex_ids(item) for item in value] if isinstance(value, list) else value
