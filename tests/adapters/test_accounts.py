"""What is told of an answer: beside it, and as spans. It is the same whatever the framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.adapters.contract import STREAMED, Bench, Pair, Way, card
from tests.adapters.door import Kind, Request, Wire

ACCOUNT = {"decision_id", "model", "reason", "task_type", "status", "attempts", "cost_usd"}

ROUTE = {
    "openinference.span.kind",
    "taskrouter.attempt.count",
    "taskrouter.classifier.name",
    "taskrouter.cost.baseline",
    "taskrouter.cost.currency",
    "taskrouter.cost.total",
    "taskrouter.decision.candidates",
    "taskrouter.decision.id",
    "taskrouter.decision.latency_ms",
    "taskrouter.decision.model",
    "taskrouter.decision.plan",
    "taskrouter.decision.propensity",
    "taskrouter.decision.provider",
    "taskrouter.decision.reason",
    "taskrouter.decision.scores",
    "taskrouter.fallback.used",
    "taskrouter.outcome.check",
    "taskrouter.outcome.model",
    "taskrouter.outcome.provider",
    "taskrouter.outcome.status",
    "taskrouter.policy.name",
    "taskrouter.policy.version",
    "taskrouter.request.model",
    "taskrouter.step.agent",
    "taskrouter.step.node",
    "taskrouter.step.run_id",
    "taskrouter.task.complexity",
    "taskrouter.task.confidence",
    "taskrouter.task.type",
    "taskrouter.usage.input_tokens",
    "taskrouter.usage.output_tokens",
}
CHAT = {
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.finish_reasons",
    "gen_ai.usage.cost.amount",
    "gen_ai.usage.cost.currency",
    "gen_ai.usage.cost.source",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "llm.cost.total",
    "taskrouter.attempt.index",
    "taskrouter.attempt.outcome",
    "taskrouter.attempt.retries",
    "taskrouter.attempt.role",
    "taskrouter.decision.id",
}
SERVED = "gen_ai.response.model"


async def test_the_account_of_an_answer_is_beside_it(bench: Bench, way: Way, pair: Pair) -> None:
    reply = await bench.ask(bench.routed(pair), way)
    if "account" in bench.door.lacks:
        assert (reply.account, reply.accounts) == (None, 0)
        return
    assert reply.account is not None
    assert reply.accounts == 1
    assert set(reply.account) == ACCOUNT
    outcome = bench.outcome
    assert reply.account["decision_id"] == outcome.decision_id
    assert (reply.account["model"], reply.account["status"], reply.account["attempts"]) == (pair[0].id, "ok", 1)
    assert reply.account["cost_usd"] == pytest.approx(outcome.cost_usd)


async def test_the_account_tells_of_a_fallback(bench: Bench, way: Way, pair: Pair) -> None:
    bench.vendors.fail(pair[0].model, "unavailable")
    reply = await bench.ask(bench.routed(pair), way)
    if reply.account is None:
        assert "account" in bench.door.lacks
        return
    assert (reply.account["model"], reply.account["status"], reply.account["attempts"]) == (pair[1].id, "fallback", 2)


async def test_feedback_finds_the_step_by_its_decision(bench: Bench, way: Way, pair: Pair) -> None:
    routed = bench.routed(pair)
    await bench.ask(routed, way)
    routed.router.feedback(bench.outcome.decision_id, 1.0, source="user")
    assert bench.outcome.decision_id == bench.watcher.decisions[-1].id


async def test_an_answer_counts_its_tokens(bench: Bench, way: Way, pair: Pair) -> None:
    reply = await bench.ask(bench.routed(pair), way)
    usage = bench.outcome.usage
    assert not usage.estimated
    assert usage.output_tokens > 0
    assert (reply.input_tokens, reply.output_tokens) == (usage.input_tokens, usage.output_tokens)


async def test_an_answer_says_why_it_ended_and_who_gave_it(bench: Bench, way: Way, pair: Pair) -> None:
    bench.vendors.fail(pair[0].model, "error")
    await bench.ask(bench.routed(pair), way)
    assert bench.outcome.attempts[-1].served_model == (pair[1].model if named(bench, pair[1], way) else None)
    assert bench.outcome.view.finish_reason


async def test_every_step_is_one_tree_of_spans(bench: Bench, way: Way, pair: Pair) -> None:
    bench.vendors.fail(pair[0].model, "unavailable")
    await bench.ask(bench.routed(pair), way, declared(bench))
    *attempts, route = bench.spans
    assert route.name.split()[0] == "route"
    assert [span.name for span in attempts] == [f"chat {card(wire)['model']}" for wire in pair]
    assert route.context is not None
    assert [span.parent and span.parent.span_id for span in attempts] == [route.context.span_id] * 2
    assert [span.status.status_code.name for span in bench.spans] == ["ERROR", "UNSET", "UNSET"]


async def test_spans_say_the_same_of_every_framework(bench: Bench, way: Way, pair: Pair) -> None:
    await bench.ask(bench.routed(pair), way, declared(bench))
    chat, route = (span.attributes or {} for span in bench.spans)
    streamed = {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk"} if way in STREAMED else set()
    assert set(route) == ROUTE
    served = {SERVED} if named(bench, pair[0], way) else set()
    assert set(chat) - {"gen_ai.response.id"} == CHAT | served | streamed  # the id: where the framework hands it on
    assert described(route) == {
        "taskrouter.decision.model": pair[0].id,
        "taskrouter.outcome.model": pair[0].id,
        "taskrouter.outcome.status": "ok",
        "taskrouter.step.agent": "boss",
        "taskrouter.step.node": "planner",
        "taskrouter.step.run_id": "run-1",
    }
    assert chat["gen_ai.request.model"] == card(pair[0])["model"]
    assert chat.get(SERVED, pair[0].model) == pair[0].model
    assert chat["gen_ai.provider.name"] == pair[0].provider


def named(bench: Bench, wire: Wire, way: Way) -> bool:
    """Whether a native answer says which model gave it."""
    kind: Kind = "streamed" if way in STREAMED else "whole"
    return (wire, kind) not in bench.door.nameless


def declared(bench: Bench) -> Request:
    """Return a question whose step is declared."""
    return bench.request(declared={"agent": "boss", "node": "planner", "run_id": "run-1"})


def described(route: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a route span says of a step and its outcome, as far as no number stands in it."""
    told = ("taskrouter.decision.model", "taskrouter.outcome.model", "taskrouter.outcome.status", "taskrouter.step.")
    return {name: value for name, value in route.items() if name.startswith(told) and name != "taskrouter.step.index"}
