"""Whether a viewer shows what the router has done: each check by its name, with what was found where it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.viewer.shown import Shown, Span


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    found: str
    """Empty where the check holds."""


def check_all(run: Mapping[str, Any], shown: Shown) -> list[Check]:
    """Compare what is shown with what was done."""
    return [Check(name, check(run, shown)) for name, check in _CHECKS.items()]


def _one_trace(run: Mapping[str, Any], shown: Shown) -> str:
    return "" if shown.trace_ids == [run["trace_id"]] else f"{len(shown.trace_ids)} traces"


def _kinds_known(_: Mapping[str, Any], shown: Shown) -> str:
    return ", ".join(f"{span.name} is {span.kind}" for span in shown.spans if span.kind == "unknown")


def _routes_below_agents(run: Mapping[str, Any], shown: Shown) -> str:
    routes = _routes(shown)
    if len(routes) != len(run["steps"]):
        return f"{len(routes)} routes for {len(run['steps'])} steps"
    wrong = []
    for route in routes:
        kinds = [span.kind for span in shown.above(route)]
        if route.kind != "chain" or "agent" not in kinds:
            wrong.append(f"{route.name} ({route.kind}) beneath {kinds}")
    return ", ".join(wrong)


def _routes_are_the_steps(run: Mapping[str, Any], shown: Shown) -> str:
    wanted = [(f"route {step['task_type']}", step["decision_id"]) for step in run["steps"]]
    found = [(route.name, route.attribute("taskrouter.decision.id")) for route in _routes(shown)]
    return "" if found == wanted else f"{found} instead of {wanted}"


def _attempts_in_order(run: Mapping[str, Any], shown: Shown) -> str:
    for route, step in zip(_routes(shown), run["steps"], strict=False):
        chats = shown.beneath(route)
        found = [(chat.name.startswith("chat "), chat.attribute("taskrouter.attempt.role")) for chat in chats]
        if found != [(True, visit["role"]) for visit in step["visits"]]:
            return f"{route.name}: {[chat.name for chat in chats]} with {found}"
        indices = [chat.attribute("taskrouter.attempt.index") for chat in chats]
        if indices != sorted(set(indices)):
            return f"{route.name}: attempts are numbered {indices}"
    return ""


def _failures_are_errors(run: Mapping[str, Any], shown: Shown) -> str:
    for route, step in zip(_routes(shown), run["steps"], strict=False):
        if route.status == "ERROR":
            return f"{route.name} was answered and is an error"
        for chat, visit in zip(shown.beneath(route), step["visits"], strict=False):
            wanted = ("UNSET" if visit["error_type"] is None else "ERROR", visit["error_type"])
            if (found := (chat.status, chat.attribute("error.type"))) != wanted:
                return f"{chat.name}: {found} instead of {wanted}"
    return ""


def _tokens_once(run: Mapping[str, Any], shown: Shown) -> str:
    spent = sum(step["input_tokens"] + step["output_tokens"] for step in run["steps"])
    counted = {
        "the spans": sum(span.tokens or 0 for span in shown.spans),
        "the tree": shown.tokens_tree,
        "REST": shown.tokens_rest,
        "the bill": round(shown.tokens_cost),
    }
    wrong = [f"{where} {tokens}" for where, tokens in counted.items() if tokens != spent]
    return f"spent {spent}, but {', '.join(wrong)}" if wrong or not spent else ""


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], Shown], str]] = {
    "the run is one trace": _one_trace,
    "every span has a kind": _kinds_known,
    "every route is a CHAIN beneath an AGENT": _routes_below_agents,
    "the routes are the steps, in order": _routes_are_the_steps,
    "attempts stand in order beneath their route": _attempts_in_order,
    "a failed attempt is an ERROR with error.type, an answered route is none": _failures_are_errors,
    "tokens are counted once": _tokens_once,
}


def _routes(shown: Shown) -> list[Span]:
    return [span for span in shown.spans if span.name.startswith("route ")]
