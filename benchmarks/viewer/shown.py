"""What Phoenix shows of a trace, asked over its REST and its GraphQL interface."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_QUERY = """
query($id: String!) {
  getTraceByOtelId(traceId: $id) {
    id
    rootSpan { cumulativeTokenCountTotal }
    costSummary { total { cost tokens } }
    spans(first: 1000) { edges { node {
      id spanId parentId name spanKind statusCode startTime tokenCountTotal attributes
    } } }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span, as the viewer has understood it."""

    node_id: str
    """The viewer's own id, for addresses."""
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    status: str
    started: str
    tokens: int | None
    attributes: Mapping[str, Any]
    """As the viewer nests them: dots have become levels."""

    def attribute(self, name: str) -> Any:
        """Return the value of a dotted name; None where there is none."""
        level: Any = self.attributes
        for key in name.split("."):
            level = level.get(key) if isinstance(level, Mapping) else None
        return level


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A project with the trace of one run."""

    project_id: str
    trace_ids: Sequence[str]
    """All traces of the project."""
    tokens_rest: int
    """What the REST interface counts for the trace."""
    tokens_tree: int
    """What the tree's root adds up from all spans beneath it."""
    tokens_cost: float
    """What its bill adds up."""
    spans: Sequence[Span]
    """In the order in which they started."""

    def beneath(self, parent: Span) -> list[Span]:
        """Return the children of a span."""
        return [span for span in self.spans if span.parent_id == parent.span_id]

    def above(self, span: Span) -> list[Span]:
        """Return the spans around a span, the nearest first."""
        parent = next((one for one in self.spans if one.span_id == span.parent_id), None)
        return [] if parent is None else [parent, *self.above(parent)]


def wait_for(address: str, project: str, trace_id: str, spans: int, *, timeout_s: float = 30.0) -> Shown:
    """Return what is shown, as soon as the trace has this many spans."""
    end_s = time.monotonic() + timeout_s
    while True:
        shown = _ask(address, project, trace_id)
        if shown is not None and len(shown.spans) >= spans:
            return shown
        if time.monotonic() > end_s:
            raise TimeoutError(f"Phoenix does not show the {spans} spans of {project} within {timeout_s:g} s")
        time.sleep(0.05)


def _ask(address: str, project: str, trace_id: str) -> Shown | None:
    try:
        traces = _json(Request(f"{address}/v1/projects/{project}/traces?limit=100"))["data"]  # noqa: S310 - loopback
    except HTTPError as error:
        if error.code == 404:
            return None  # a project appears with its first span
        raise
    body = json.dumps({"query": _QUERY, "variables": {"id": trace_id}}).encode()
    trace = _json(Request(f"{address}/graphql", body, {"Content-Type": "application/json"}))[  # noqa: S310
        "data"
    ]["getTraceByOtelId"]
    mine = next((found for found in traces if found["trace_id"] == trace_id), None)
    if trace is None or mine is None or trace["rootSpan"] is None:
        return None
    return Shown(
        project_id=mine["project_id"],
        trace_ids=[found["trace_id"] for found in traces],
        tokens_rest=mine["token_count_total"],
        tokens_tree=trace["rootSpan"]["cumulativeTokenCountTotal"],
        tokens_cost=trace["costSummary"]["total"]["tokens"] or 0,
        spans=sorted((_span(edge["node"]) for edge in trace["spans"]["edges"]), key=lambda span: span.started),
    )


def _span(node: Mapping[str, Any]) -> Span:
    return Span(
        node_id=node["id"],
        span_id=node["spanId"],
        parent_id=node["parentId"],
        name=node["name"],
        kind=node["spanKind"],
        status=node["statusCode"],
        started=node["startTime"],
        tokens=node["tokenCountTotal"],
        attributes=json.loads(node["attributes"]),
    )


def _json(request: Request) -> Any:
    with urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)
