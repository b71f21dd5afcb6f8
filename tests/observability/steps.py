"""What holds for the spans of every step, whichever door it came through and however it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from taskrouter.observability import names as n

FINISHED = {"ok": StatusCode.UNSET, "cancelled": StatusCode.UNSET, "failed": StatusCode.ERROR}


class Traced(NamedTuple):
    """A step as its spans show it."""

    route: ReadableSpan
    chats: Sequence[ReadableSpan]
    """In the order in which they began."""

    @property
    def said(self) -> Mapping[str, Any]:
        """The attributes of the route."""
        return said(self.route)

    @property
    def status(self) -> str:
        return str(self.said[n.OUTCOME_STATUS])

    def each(self, name: str) -> list[Any]:
        """What each chat says of one attribute."""
        return [said(chat).get(name) for chat in self.chats]


def traced(spans: Sequence[ReadableSpan], *, parent: str | None = None) -> list[Traced]:
    """Return the steps of a trace, having checked what holds for each.

    Args:
        spans: all that have ended.
        parent: the name of the span that every route must lie beneath.
    """
    names = {key(span): span.name for span in spans}
    routes = sorted((span for span in spans if span.name.startswith("route ")), key=began)
    steps = [Traced(route, beneath(spans, route, "chat ")) for route in routes]
    assert sum(len(step.chats) for step in steps) == len([span for span in spans if ours(span, "chat ")])
    assert len({step.said[n.DECISION_ID] for step in steps}) == len(steps), "a step has one route"
    for step in steps:
        check(step)
        if parent is not None:
            assert step.route.parent is not None
            assert names.get(step.route.parent.span_id) == parent
    return steps


def check(step: Traced) -> None:
    """Check one step."""
    _check_route(step)
    _check_chats(step)
    _check_sums(step)


def _check_route(step: Traced) -> None:
    route, found = step.route, step.said
    assert route.kind is SpanKind.INTERNAL
    assert route.name == f"route {found[n.TASK_TYPE]}"
    assert found[n.OPENINFERENCE_KIND] == "CHAIN"
    # With these a viewer shows a route as a call, or counts its tokens twice.
    assert not [name for name in found if name.startswith("gen_ai.") and name != n.CONVERSATION_ID]
    exhausted = step.status == "exhausted"
    assert route.status.status_code is (StatusCode.ERROR if exhausted else StatusCode.UNSET)
    assert exhausted == (n.OUTCOME_MODEL not in found) or step.status == "cancelled"
    assert route.events == ()


def _check_chats(step: Traced) -> None:
    found = step.said
    for chat in step.chats:
        told = said(chat)
        assert chat.kind is SpanKind.CLIENT
        assert told[n.DECISION_ID] == found[n.DECISION_ID]
        assert chat.name == f"{told[n.OPERATION]} {told[n.GENAI_REQUEST_MODEL]}"
        assert chat.status.status_code is FINISHED[told[n.ATTEMPT_OUTCOME]]
        assert (n.ERROR_TYPE in told) == (told[n.ATTEMPT_OUTCOME] == "failed")
        assert chat.events == (), "an exception as the SDK records it quotes the provider"
        assert began(step.route) <= began(chat) <= ended(chat)
    indexes, roles = step.each(n.ATTEMPT_INDEX), step.each(n.ATTEMPT_ROLE)
    calls = sum(retries + 1 for retries in step.each(n.ATTEMPT_RETRIES))
    assert found[n.ATTEMPT_COUNT] == calls
    assert indexes == sorted(set(indexes))
    if step.chats:
        assert (indexes[0], roles[0] == "hedge") == (1, False)
        assert indexes[-1] + step.each(n.ATTEMPT_RETRIES)[-1] <= calls
    if all(retries == 0 for retries in step.each(n.ATTEMPT_RETRIES)):
        assert indexes == list(range(1, calls + 1))
    assert found[n.FALLBACK_USED] == ("fallback" in roles)


def _check_sums(step: Traced) -> None:
    found = step.said
    aside = n.OPENINFERENCE_KIND in said(step.chats[0]) if step.chats else False  # another instrumentation counts
    for total, part in ((n.USAGE_INPUT, n.INPUT_TOKENS), (n.USAGE_OUTPUT, n.OUTPUT_TOKENS)):
        assert found[total] == sum(tokens or 0 for tokens in step.each(total if aside else part))
    if aside:
        assert not [name for chat in step.chats for name in said(chat) if name.startswith(("gen_ai.usage.", "llm."))]
    costs = step.each(n.COST_TOTAL if aside else n.COST_AMOUNT)
    assert aside or costs == step.each(n.OPENINFERENCE_COST)
    if None in costs:
        assert n.COST_TOTAL not in found, "a sum with an unknown part is unknown"
    else:
        assert found[n.COST_TOTAL] == pytest.approx(sum(costs), rel=1e-9, abs=1e-15)


def beneath(spans: Sequence[ReadableSpan], above: ReadableSpan, name: str = "") -> list[ReadableSpan]:
    """Return the spans right beneath one, as they began."""
    return sorted(
        (s for s in spans if s.parent and s.parent.span_id == key(above) and s.name.startswith(name)), key=began
    )


def ours(span: ReadableSpan, name: str) -> bool:
    """Whether a span is the router's, and of a name that begins so."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name == n.SCOPE and span.name.startswith(name)


def said(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def key(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def began(span: ReadableSpan) -> int:
    return span.start_time or 0


def ended(span: ReadableSpan) -> int:
    return span.end_time or 0
