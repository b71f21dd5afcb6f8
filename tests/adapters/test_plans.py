"""A plan of several models, through every door: the native answer that is taken, and an account of every call."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import pytest
from tests.adapters.contract import STREAMED, Bench, Pair, Way, card
from tests.adapters.door import Wire
from tests.standins.brain import GREETING

from taskrouter import Decision, Plan, Router, hookimpl


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


def planned(bench: Bench, pair: Pair, kind: Any, **execution: Any) -> tuple[Any, tuple[Wire, Wire, Wire]]:
    """Return a routed model of three candidates, of which the last one is the incumbent, and the candidates."""
    wires = (*pair, pair[0]._replace(id="spare"))
    router = type("Fixed", (Planned,), {"plan": Plan(kind=kind, models=tuple(wire.id for wire in wires))})(
        [card(wire) for wire in wires],
        wires[-1].id,
        config={"execution": {"retries": 0, **execution}},
        plugins=[bench.watcher, Greetings()],
        tracer_provider=bench._provider,
    )
    candidates = {**bench.candidates(pair), "spare": bench.door.candidate(pair[0], bench.vendors.url)}
    return bench.door.routed(candidates, router=router), wires


async def test_two_candidates_that_agree_answer_with_the_first_ones_words(bench: Bench, way: Way, pair: Pair) -> None:
    routed, (first, second, _) = planned(bench, pair, "agree", buffer_streams=True)
    reply = await bench.ask(routed, way)
    assert reply.text == GREETING
    assert sorted(bench.asked) == sorted([first.model, second.model])
    outcome = bench.outcome
    assert (outcome.check, outcome.model, outcome.status) == ("agreed", first.id, "ok")
    assert reply.accounts == (0 if "account" in bench.door.lacks else 1)
    if reply.account is not None:
        assert (reply.account["model"], reply.account["attempts"]) == (first.id, 2)
        assert reply.account["cost_usd"] == pytest.approx(outcome.cost_usd)
    assert outcome.usage.input_tokens == sum(a.usage.input_tokens for a in outcome.attempts if a.usage)
    assert sorted(span.name.split()[0] for span in bench.spans) == ["chat", "chat", "route"]


async def test_a_proposer_that_fails_brings_the_incumbent(bench: Bench, way: Way, pair: Pair) -> None:
    routed, (_, second, last) = planned(bench, pair, "agree", buffer_streams=True)
    bench.vendors.fail(second.model, "error")
    reply = await bench.ask(routed, way)
    assert reply.text == GREETING
    outcome = bench.outcome
    assert (outcome.check, outcome.model, outcome.status) == ("disagreed", last.id, "ok")
    assert [a.role for a in outcome.attempts] == ["propose", "propose", "escalation"]
    if reply.account is not None:
        assert (reply.account["model"], reply.account["attempts"]) == (last.id, 3)


async def test_a_first_candidate_whose_answer_will_not_do_is_followed_by_the_next(
    bench: Bench, way: Way, pair: Pair
) -> None:
    routed, (first, second, _) = planned(bench, pair, "gate", buffer_streams=True)
    bench.vendors.fail(first.model, "silent")
    assert (await bench.ask(routed, way)).text == GREETING
    assert (bench.outcome.check, bench.outcome.model, bench.outcome.status) == ("escalated", second.id, "ok")


async def test_what_is_streamed_as_it_comes_is_the_incumbents(bench: Bench, streamed: Way, pair: Pair) -> None:
    assert streamed in STREAMED
    routed, (*_, last) = planned(bench, pair, "agree")
    assert (await bench.ask(routed, streamed)).text == GREETING
    assert (bench.outcome.check, bench.outcome.model, bench.asked) == ("none", last.id, [last.model])


def weather(city: str, days: int) -> str:
    """Tell the weather of a city."""
    raise AssertionError("nothing runs it")


async def test_a_tool_call_is_proposed_by_both_and_leaves_once(bench: Bench, way: Way, pair: Pair) -> None:
    routed, (first, second, _) = planned(bench, pair, "agree", buffer_streams=True)
    request = bench.request("What is the weather in Oslo, for 3 days?", tools=[weather])
    reply = await bench.ask(routed, way, request)
    assert [call.name for call in reply.calls] == ["weather"]
    assert (bench.outcome.check, bench.outcome.model) == ("agreed", first.id)
    assert sorted(bench.asked) == sorted([first.model, second.model])
    (proposed,) = bench.outcome.view.tool_calls
    assert proposed.arguments, "what each stream brings is put together by itself"
    again = await bench.ask(routed, way, bench.request("What is the weather in Oslo, for 3 days?", tools=[weather]))
    assert [call.arguments for call in again.calls] == [call.arguments for call in reply.calls]
