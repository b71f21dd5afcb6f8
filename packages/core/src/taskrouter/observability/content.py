"""Whether the words of steps are captured and where they go. They are not, unless somebody has asked for it."""

from __future__ import annotations

import inspect
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import _logs
from opentelemetry.context import Context
from opentelemetry.trace import Span

from taskrouter.config import ContentMode, TelemetryConfig
from taskrouter.observability import names as n
from taskrouter.observability.redaction import Redaction, RedactionFailedError
from taskrouter.observability.transcript import Room, answer, request
from taskrouter.outcome import ResponseView
from taskrouter.ports import Redactor
from taskrouter.profile import TaskProfile
from taskrouter.step import Step

logger = logging.getLogger("taskrouter.observability")

VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_MODES: Mapping[str, ContentMode] = {
    "NO_CONTENT": "NO_CONTENT",
    "SPAN_ONLY": "SPAN_ONLY",
    "EVENT_ONLY": "EVENT_ONLY",
    "SPAN_AND_EVENT": "SPAN_AND_EVENT",
    # Before there were modes, instrumentations took a yes or no, and a yes put content into events alone. Whoever said
    # yes for them has not agreed to content on spans.
    "TRUE": "EVENT_ONLY",
    "FALSE": "NO_CONTENT",
    "": "NO_CONTENT",
}
OPEN: Final = frozenset({"unspecified", "public"})
"""Privacy classes of which content may be captured: none was declared, or nothing is private."""


def content_mode(configured: ContentMode | None, environment: Mapping[str, str]) -> ContentMode:
    """Return where content goes: as configured, else as the environment says.

    Args:
        configured: `[telemetry] content`.
        environment: the variables of the process.
    """
    if configured is not None:
        return configured
    said = environment.get(VARIABLE, "").strip()
    mode = _MODES.get(said.upper())
    if mode is None:
        known = "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT, true (EVENT_ONLY) or false (NO_CONTENT)"
        logger.warning("%s has a value that is not known, so no content is captured: write %s", VARIABLE, known)
        return "NO_CONTENT"
    return mode


class Content:
    """Writes down requests and answers where capture is on.

    Args:
        mode: where they go.
        part_chars: the longest that one part of a message may be.
        redactors: what takes private things out, by name.
        events: where events go.
        injected: whether that was given to us; else events are sent once the process has a provider.
    """

    def __init__(
        self,
        mode: ContentMode,
        *,
        part_chars: int,
        redactors: Mapping[str, Redactor],
        events: _logs.Logger,
        injected: bool,
    ) -> None:
        self.on_spans = mode in ("SPAN_ONLY", "SPAN_AND_EVENT")
        self._in_events = mode in ("EVENT_ONLY", "SPAN_AND_EVENT")
        if self._in_events and not _API_HAS_EVENTS:
            logger.warning("no content events are sent: they need opentelemetry-api 1.35 or later")
            self._in_events = False
        self._redaction = Redaction(redactors)
        self._part_chars = part_chars
        self._events, self._injected = events, injected

    @classmethod
    def of(
        cls,
        config: TelemetryConfig,
        *,
        redactors: Mapping[str, Redactor],
        scope: Callable[[], _logs.Logger],
        injected: bool,
    ) -> Content | None:
        """Return what captures content, or None where nobody wants it."""
        mode = content_mode(config.content, os.environ)
        if mode == "NO_CONTENT":
            return None
        return cls(mode, part_chars=config.content_max_chars, redactors=redactors, events=scope(), injected=injected)

    @property
    def in_events(self) -> bool:
        """Whether events are wanted and somebody takes them."""
        if not self._in_events:
            return False
        # Like that of the meters, the class of the API's stand-in has no public name.
        idle = ("ProxyLoggerProvider", "NoOpLoggerProvider")
        return self._injected or type(_logs.get_logger_provider()).__name__ not in idle

    def of_step(self, step: Step, profile: TaskProfile) -> StepContent | None:
        """Return what writes down one step; None where a rule has declared it private, or nobody is listening."""
        if profile.sensitivity.casefold() not in OPEN:
            return None
        return StepContent(self, step) if self.on_spans or self.in_events else None

    def request(self, step: Step) -> Mapping[str, Any]:
        """Return what is asked, by the names of the attributes; nothing where it cannot be redacted."""
        return self._written(lambda: request(step, self._room))

    def answer(self, view: ResponseView) -> Mapping[str, Any]:
        """Return what was answered, by the name of the attribute; nothing where it cannot be redacted."""
        return self._written(lambda: answer(view, self._room()))

    def emit(self, attributes: Mapping[str, Any], within: Context) -> None:
        """Send an event with what is known of a call, in the context of its span."""
        record = _logs.LogRecord(
            timestamp=time.time_ns(), context=within, attributes=dict(attributes), event_name=n.CONTENT_EVENT
        )
        self._events.emit(record)

    def _room(self) -> Room:
        return Room(self._redaction, self._part_chars)

    def _written(self, write: Callable[[], dict[str, Any]]) -> Mapping[str, Any]:
        try:
            return write()
        except RedactionFailedError:
            return {}


class StepContent:
    """The content of one step: the request is written down once, however many models are asked."""

    def __init__(self, content: Content, step: Step) -> None:
        self._content = content
        self._step = step
        self._request: Mapping[str, Any] | None = None

    def asked(self, span: Span) -> None:
        """Put the request on the span of a call, before the call is made: the list of messages may change."""
        content = self._content
        on_span = content.on_spans and span.is_recording()
        if self._request is None and (on_span or content.in_events):
            self._request = content.request(self._step)
        if on_span and self._request:
            span.set_attributes(_as_text(self._request))

    def told(self, span: Span, view: ResponseView | None, known: Callable[[], Mapping[str, Any]], at: Context) -> None:
        """Put the answer on the span of a call that is over, and send the event.

        Args:
            span: the span.
            view: the answer; None: there is none.
            known: tells what else is known of the call.
            at: the span's context.
        """
        content = self._content
        on_span, in_event = content.on_spans and span.is_recording(), content.in_events
        answered = content.answer(view) if view is not None and (on_span or in_event) else {}
        if on_span and answered:
            span.set_attributes(_as_text(answered))
        if in_event:
            content.emit({**known(), **(self._request or {}), **answered}, at)


def _as_text(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes as spans have them: JSON texts."""
    return {name: json.dumps(value, ensure_ascii=False) for name, value in attributes.items()}


_API_HAS_EVENTS = "event_name" in inspect.signature(_logs.LogRecord.__init__).parameters
