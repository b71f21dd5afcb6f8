"""How viewers add tokens up, and what lies above a span."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from tests.observability.steps import key, said

from taskrouter.observability import names as n


def counted_by_openinference(spans: Sequence[ReadableSpan]) -> int:
    """Output tokens of spans of kind LLM; one without a kind is told by its GenAI names."""
    return sum(_openinference(span) for span in spans)


def counted_by_genai(spans: Sequence[ReadableSpan]) -> int:
    """Output tokens of all calls to models that the GenAI conventions know."""
    return sum(int(said(s).get(n.OUTPUT_TOKENS) or 0) for s in spans if said(s).get(n.OPERATION) == "chat")


def _openinference(span: ReadableSpan) -> int:
    found = said(span)
    kind = found.get(n.OPENINFERENCE_KIND)
    if not (kind == "LLM" or (kind is None and found.get(n.OPERATION) == "chat")):
        return 0
    return int(found.get("llm.token_count.completion") or found.get(n.OUTPUT_TOKENS) or 0)


def lineage(span: ReadableSpan, spans: Sequence[ReadableSpan]) -> list[str]:
    """Return the names of the spans above one, the nearest first."""
    known = {key(one): one for one in spans}
    names: list[str] = []
    while span.parent is not None and span.parent.span_id in known:
        span = known[span.parent.span_id]
        names.append(span.name)
    return names
