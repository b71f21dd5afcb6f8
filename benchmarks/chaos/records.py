"""What is written down while a step runs: its attempts, as a plugin hears of them, and its spans."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from taskrouter import Decision, hookimpl
from taskrouter.outcome import Attempt


class Attempts:
    """A plugin that keeps every attempt."""

    def __init__(self) -> None:
        self.all: list[Attempt] = []

    @hookimpl
    def taskrouter_attempted(self, decision: Decision, attempt: Attempt) -> None:
        """Keep it."""
        del decision
        self.all.append(attempt)


class Spans(SpanProcessor):
    """Keeps every span, and knows which have started and not ended."""

    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []
        self.open: dict[int, str] = {}

    def provider(self) -> TracerProvider:
        """Return a provider that tells it of every span."""
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self)
        return provider

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note that a span is open."""
        del parent_context
        self.open[span.get_span_context().span_id] = span.name

    def on_end(self, span: ReadableSpan) -> None:
        """Note that it has ended."""
        context = span.get_span_context()
        if context is not None:
            self.open.pop(context.span_id, None)
        self.ended.append(span)

    def named(self, kind: str) -> list[ReadableSpan]:
        """Return the ended spans of a kind: `route` or `chat`."""
        return [span for span in self.ended if span.name.startswith(f"{kind} ")]
