"""The checks of `make viewer-check` fail where a viewer shows something else than was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from benchmarks.viewer.checks import check_all
from benchmarks.viewer.pictures import telling
from benchmarks.viewer.shown import Shown, Span

Change: TypeAlias = Callable[[Shown], Shown]

RUN: Mapping[str, Any] = {
    "trace_id": "t",
    "steps": [
        {
            "task_type": "planning",
            "decision_id": "dec_1",
            "visits": [{"endpoint": "large", "role": "primary", "error_type": None}],
            "input_tokens": 10,
            "output_tokens": 5,
        },
        {
            "task_type": "summarization",
            "decision_id": "dec_2",
            "visits": [
                {"endpoint": "flaky", "role": "primary", "error_type": "server_error"},
                {"endpoint": "large", "role": "fallback", "error_type": None},
            ],
            "input_tokens": 20,
            "output_tokens": 7,
        },
    ],
}


def span(span_id: str, parent_id: str | None, name: str, kind: str, **fields: Any) -> Span:
    status, tokens = fields.pop("status", "UNSET"), fields.pop("tokens", None)
    return Span(
        node_id=f"node-{span_id}",
        span_id=span_id,
        parent_id=parent_id,
        name=name,
        kind=kind,
        status=status,
        started=span_id,
        tokens=tokens,
        attributes=fields,
    )


def attempt(role: str, index: int) -> Mapping[str, Any]:
    return {"attempt": {"role": role, "index": index}}


def shown(spans: Sequence[Span] | None = None, **fields: Any) -> Shown:
    right = [
        span("0", None, "agent", "agent"),
        span("1", "0", "route planning", "chain", taskrouter={"decision": {"id": "dec_1"}}),
        span("2", "1", "chat large", "llm", tokens=15, taskrouter=attempt("primary", 1)),
        span("3", "0", "route summarization", "chain", taskrouter={"decision": {"id": "dec_2"}}),
        span(
            "4",
            "3",
            "chat flaky",
            "llm",
            status="ERROR",
            error={"type": "server_error"},
            taskrouter=attempt("primary", 1),
        ),
        span("5", "3", "chat large", "llm", tokens=27, taskrouter=attempt("fallback", 3)),
    ]
    counted = {"tokens_rest": 42, "tokens_tree": 42, "tokens_cost": 42.0, **fields}
    return Shown(project_id="p", trace_ids=["t"], spans=spans or right, **counted)


def changed(span_id: str, **fields: Any) -> Change:
    """A viewer that shows one span in another way."""

    def change(right: Shown) -> Shown:
        return replace(right, spans=[replace(one, **fields) if one.span_id == span_id else one for one in right.spans])

    return change


def test_all_checks_hold_for_what_is_right() -> None:
    assert [check for check in check_all(RUN, shown()) if check.found] == []


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda right: replace(right, trace_ids=["t", "another"]), "the run is one trace"),
        (changed("0", kind="unknown"), "every span has a kind"),
        (changed("1", kind="llm"), "every route is a CHAIN beneath an AGENT"),
        (changed("3", parent_id=None), "every route is a CHAIN beneath an AGENT"),
        (changed("3", name="chat"), "every route is a CHAIN beneath an AGENT"),
        (changed("1", attributes={}), "the routes are the steps, in order"),
        (changed("1", name="route extraction"), "the routes are the steps, in order"),
        (changed("4", parent_id="1"), "attempts stand in order beneath their route"),
        (
            changed("5", attributes={"taskrouter": attempt("fallback", 1)}),
            "attempts stand in order beneath their route",
        ),
        (changed("4", status="UNSET"), "a failed attempt is an ERROR with error.type, an answered route is none"),
        (changed("4", attributes={}), "a failed attempt is an ERROR with error.type, an answered route is none"),
        (changed("3", status="ERROR"), "a failed attempt is an ERROR with error.type, an answered route is none"),
        (changed("5", tokens=28), "tokens are counted once"),
        (lambda right: replace(right, tokens_rest=84), "tokens are counted once"),
        (lambda right: replace(right, tokens_tree=84), "tokens are counted once"),
        (lambda right: replace(right, tokens_cost=0.0), "tokens are counted once"),
    ],
)
def test_a_check_fails_for_what_is_wrong(change: Change, check: str) -> None:
    assert check in [checked.name for checked in check_all(RUN, change(shown())) if checked.found]


def test_the_picture_is_of_the_step_that_fell_back() -> None:
    assert telling(shown()).name == "route summarization"


def test_a_dotted_name_is_found_in_the_levels_that_viewers_make_of_it() -> None:
    route = shown().spans[1]
    assert route.attribute("taskrouter.decision.id") == "dec_1"
    assert route.attribute("taskrouter.decision.id.of") is None
    assert route.attribute("nothing.there") is None
