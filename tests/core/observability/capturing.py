"""A router that captures content, and what a test sees of it."""

from __future__ import annotations

import json
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan
from tests.core.observability.recorder import Recorder, attributes, completion

from taskrouter import Router, Step, hookimpl
from taskrouter.observability import names as n

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CONTENT = (n.SYSTEM_INSTRUCTIONS, n.INPUT_MESSAGES, n.OUTPUT_MESSAGES, n.TOOL_DEFINITIONS)
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "description": "where"}}}
STEP = Step(
    messages=[
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "Weather in Paris?", "name": "ada"},
        {
            "role": "assistant",
            "content": "I look it up.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rainy"},
        {"role": "system", "content": "Answer now."},
    ],
    tools=[
        {"type": "function", "function": {"name": "weather", "description": "Looks it up.", "parameters": PARAMETERS}},
        {"type": "function", "function": {"name": "nothing"}},
    ],
    task_type="chat",
)
TELLING = {
    "content": "It rains.",
    "reasoning_content": "Hm.",
    "tool_calls": [{"id": "c2", "function": {"name": "nothing", "arguments": "{}"}}],
}


def telling(model: str) -> Any:
    return completion(choices=[{"message": TELLING, "finish_reason": "tool_calls"}])


class Events:
    """A logger provider that keeps events in memory."""

    def __init__(self) -> None:
        self._exporter = InMemoryLogRecordExporter()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))

    @property
    def kept(self) -> tuple[ReadableLogRecord, ...]:
        return self._exporter.get_finished_logs()

    def one(self) -> dict[str, Any]:
        (event,) = self.kept
        assert event.log_record.event_name == "gen_ai.client.inference.operation.details"
        return dict(event.log_record.attributes or {})


class Redactors:
    def __init__(self, **redactors: Any) -> None:
        self._redactors = redactors

    @hookimpl
    def taskrouter_redactors(self) -> dict[str, Any]:
        return self._redactors


def router(
    recorder: Recorder, content: str | None = "SPAN_ONLY", *, events: Events | None = None, **more: Any
) -> Router:
    telemetry = {**({} if content is None else {"content": content}), **more.pop("telemetry", {})}
    return Router(
        more.pop("pool", None) or recorder.pool(),
        "first",
        plugins=more.pop("plugins", ()),
        config={"execution": {"retries": 0}, "telemetry": telemetry, **more},
        tracer_provider=recorder.tracers,
        meter_provider=recorder.meters,
        logger_provider=None if events is None else events.provider,
    )


def content_of(span: ReadableSpan) -> dict[str, Any]:
    """The content attributes of a span, read: each of them must be valid JSON."""
    return {name: json.loads(value) for name, value in attributes(span).items() if name in CONTENT}
