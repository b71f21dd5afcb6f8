"""A door and its vendors with everything that can be seen of the telemetry, HTTP clients' own spans included."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import get_current_span
from tests.adapters.contract import DOORS, Bench, Pair, card
from tests.adapters.door import Door, Wire
from tests.observability.core_door import CORE, OWN
from tests.observability.steps import Traced, beneath, traced
from tests.standins import Vendors

from taskrouter import Decision, Plan, Router, hookimpl

EVERY: Sequence[Door] = (CORE, OWN, *DOORS)
POST = "POST"


class Open(SpanProcessor):
    """The spans that have begun and not ended."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}

    def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
        self.names[span.get_span_context().span_id] = span.name

    def on_end(self, span: ReadableSpan) -> None:
        assert span.context is not None
        del self.names[span.context.span_id]


class Planned(Router):
    """A router that always decides for the same plan."""

    plan: ClassVar[Plan]

    def route(self, *args: Any, **kwargs: Any) -> Decision:
        return dataclasses.replace(super().route(*args, **kwargs), plan=self.plan, fallbacks=())


class Greetings:
    """Reads a greeting out of whatever is said."""

    @hookimpl
    def taskrouter_answers(self) -> dict[str, Any]:
        return {"greetings": lambda step, view: view.text[:5] or None}


class Scene(Bench):
    """A bench on which a request of an application is under way: its span is the current one."""

    def __init__(self, door: Door, vendors: Vendors) -> None:
        super().__init__(door, vendors)
        self.unended = Open()
        self._provider.add_span_processor(self.unended)
        self.tracer = self._provider.get_tracer("tests")

    @property
    def own(self) -> bool:
        """Whether it is the core's own door, whose models are known by their cards alone."""
        return self.door.name in ("core", "run")

    def routed(
        self,
        pair: Pair,
        *,
        candidates: Mapping[str, Any] | None = None,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
        **config: Any,
    ) -> Any:
        """Return a routed model of both vendors; see `Bench.routed`."""
        known = self.candidates(pair) if self.own else {}
        facts = {wire.id: {**known.get(wire.id, {}), **(facts or {}).get(wire.id, {})} for wire in pair}
        return super().routed(pair, candidates=candidates, facts=facts, **config)

    def planned(self, pair: Pair, kind: Any, **execution: Any) -> tuple[Any, tuple[Wire, Wire, Wire]]:
        """Return a routed model of three candidates, of which the last one is the incumbent, and the candidates."""
        wires = (*pair, pair[0]._replace(id="spare"))
        candidates = {wire.id: self.door.candidate(wire, self.vendors.url) for wire in wires}
        router = type("Fixed", (Planned,), {"plan": Plan(kind=kind, models=tuple(wire.id for wire in wires))})(
            [{**card(wire), **(candidates[wire.id] if self.own else {})} for wire in wires],
            wires[-1].id,
            config={"execution": {"retries": 0, **execution}},
            plugins=[self.watcher, Greetings()],
            tracer_provider=self._provider,
        )
        return self.door.routed(candidates, router=router), wires

    @contextmanager
    def request_span(self) -> Iterator[None]:
        """The application's span. It is current before, within and after."""
        with self.tracer.start_as_current_span("request") as span:
            yield
            assert get_current_span() is span

    def steps(self) -> list[Traced]:
        """Return the steps so far, checked: all lie beneath the application's span, and HTTP beneath their calls."""
        assert self.unended.names == {}
        steps = traced(self.spans, parent="request")
        posts = [span for span in self.spans if span.name == POST]
        assert sum(len(beneath(self.spans, chat, POST)) for step in steps for chat in step.chats) == len(posts)
        return steps
