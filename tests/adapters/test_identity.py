"""Whose step it is: what users declare arrives, and decides."""

from __future__ import annotations

import pytest
from tests.adapters.contract import Bench, Pair, Way

from taskrouter import ConfigurationError, StepContext

DECLARED = {
    "task": "planning",
    "agent": "boss",
    "node": "planner",
    "tenant": "acme",
    "run_id": "run-1",
    "session_id": "chat-7",
    "tags": ["beta"],
}


async def test_what_is_declared_arrives(bench: Bench, way: Way, pair: Pair) -> None:
    await bench.ask(bench.routed(pair), way, bench.request(declared=DECLARED))
    context = bench.outcome.decision.context
    assert context == StepContext(
        agent="boss",
        node="planner",
        index=context.index,
        tenant="acme",
        run_id="run-1",
        session_id="chat-7",
        tags=frozenset({"beta"}),
    )
    assert bench.outcome.decision.profile.task_type == "planning"


async def test_what_is_declared_of_one_call_is_not_said_of_the_next(bench: Bench, way: Way, pair: Pair) -> None:
    routed = bench.routed(pair)
    await bench.ask(routed, way, bench.request(declared=DECLARED))
    await bench.ask(routed, way)
    context = bench.outcome.decision.context
    assert (context.agent, context.node, context.tenant, context.tags) == (None, None, None, frozenset())


@pytest.mark.parametrize(("condition", "value"), [("agent", "boss"), ("node", "plan*"), ("tags", ["beta"])])
async def test_a_rule_on_it_decides(bench: Bench, way: Way, pair: Pair, condition: str, value: object) -> None:
    rule = {"name": "the planner thinks", "when": {condition: value}, "use": [pair[1].id]}
    routed = bench.routed(pair, rules=[rule])
    await bench.ask(routed, way, bench.request(declared=DECLARED))
    await bench.ask(routed, way)
    assert bench.asked == [pair[1].model, pair[0].model]


async def test_a_call_may_name_its_model(bench: Bench, way: Way, pair: Pair) -> None:
    await bench.ask(bench.routed(pair), way, bench.request(declared={"model": pair[1].id}))
    assert bench.asked == [pair[1].model]


async def test_a_dry_run_is_answered_by_the_incumbent(bench: Bench, way: Way, pair: Pair) -> None:
    routed = bench.routed(pair, policy={"cost": 1.0}, facts={pair[0].id: {"input_usd_per_million": 9.0}})
    asked = bench.request(declared={"dry_run": True, "task": "extraction"})
    reply = await bench.ask(routed, way, asked)
    assert bench.asked == [pair[0].model]
    if "account" not in bench.door.lacks:
        assert reply.account is not None
        assert reply.account["dry_run"]["model"] == pair[1].id


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"taks": "planning"}, "unknown key 'taks'"),
        ({"task": "plan"}, "unknown task type 'plan'; known: "),
        ({"model": "nobody"}, "'nobody' is no candidate; the candidates are "),
        ({"tags": "beta"}, "tags is a collection of strings"),
    ],
)
async def test_a_wrong_declaration_is_named(
    bench: Bench, way: Way, pair: Pair, declared: dict[str, object], message: str
) -> None:
    routed = bench.routed(pair)
    with pytest.raises(ConfigurationError, match=message):
        await bench.ask(routed, way, bench.request(declared=declared))
    assert bench.asked == []
