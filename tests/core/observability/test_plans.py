"""The spans of plans of several models: one for every call, siblings beneath the route span, each with its role."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from opentelemetry.trace import StatusCode
from tests.core.observability.recorder import STEP, Recorder, attributes, card, chunk, completion

from taskrouter import Decision, Outcome, Plan, Router

NAMES = ("a", "b", "first")
TREE = ["route chat", "route chat > chat openai/a", "route chat > chat openai/b"]
HTTP = ["route chat > chat openai/a > http a", "route chat > chat openai/b > http b"]
LAST = ["route chat > chat openai/first", "route chat > chat openai/first > http first"]


def router(recorder: Recorder, **execution: Any) -> Router:
    return recorder.router([card(name) for name in NAMES], execution=execution)


def planned(routing: Router, kind: Any = "agree", models: tuple[str, ...] = NAMES) -> Decision:
    return dataclasses.replace(routing.route(STEP), plan=Plan(kind=kind, models=models), fallbacks=())


async def run(recorder: Recorder, answers: dict[str, Any], *, sync: bool) -> Outcome[Any]:
    """Call models of which each makes a span of its own, as instrumented HTTP clients do."""
    r = router(recorder)

    def call(model: str) -> Any:
        with recorder.span(f"http {model}"):
            if isinstance(answers[model], Exception):
                raise answers[model]
            return completion(answers[model])

    async def acall(model: str) -> Any:
        await asyncio.sleep(0)
        return call(model)

    return r.run(STEP, call, decision=planned(r)) if sync else await r.arun(STEP, acall, decision=planned(r))


both = pytest.mark.parametrize("sync", [True, False])


@both
async def test_proposals_are_siblings_and_what_they_send_nests_beneath_each(recorder: Recorder, sync: bool) -> None:
    outcome = await run(recorder, {"a": "42", "b": "is 42", "first": "42"}, sync=sync)
    assert outcome.check == "disagreed"
    assert sorted(recorder.tree()) == sorted([*TREE, *HTTP, *LAST])
    roles = {n: attributes(recorder.one(f"chat openai/{n}"))["taskrouter.attempt.role"] for n in NAMES}
    assert roles == {"a": "propose", "b": "propose", "first": "escalation"}
    route = attributes(recorder.one("route chat"))
    assert route["taskrouter.decision.plan"] == "agree"
    assert route["taskrouter.outcome.check"] == "disagreed"
    assert route["taskrouter.outcome.model"] == "first"
    assert route["taskrouter.attempt.count"] == 3
    assert route["taskrouter.cost.total"] == pytest.approx(outcome.cost_usd)
    assert route["taskrouter.fallback.used"] is False


@both
async def test_the_route_span_names_the_model_whose_answer_was_taken(recorder: Recorder, sync: bool) -> None:
    await run(recorder, {"a": ConnectionError(), "b": "42", "first": "42"}, sync=sync)
    route = attributes(recorder.one("route chat"))
    assert (route["taskrouter.outcome.model"], route["taskrouter.outcome.check"]) == ("first", "disagreed")
    assert recorder.one("route chat").status.status_code is StatusCode.UNSET
    assert recorder.one("chat openai/a").status.status_code is StatusCode.ERROR
    assert "taskrouter.fallbacks" not in recorder.points(), "a proposal that fails is no fallback"


def test_agreement_is_said_and_ends_every_span(recorder: Recorder) -> None:
    r = router(recorder)
    r.run(STEP, lambda model: completion("42"), decision=planned(r))
    assert recorder.tree() == TREE
    route = attributes(recorder.one("route chat"))
    assert (route["taskrouter.outcome.model"], route["taskrouter.outcome.check"]) == ("a", "agreed")
    assert {attributes(recorder.one(f"chat openai/{n}"))["taskrouter.attempt.outcome"] for n in "ab"} == {"ok"}


def test_an_escalation_of_a_gate_is_no_fallback(recorder: Recorder) -> None:
    r = router(recorder)
    call: Callable[[str], Any] = lambda model: completion("" if model == "a" else "42")  # noqa: E731
    r.run(STEP, call, decision=planned(r, "gate", ("a", "first")))
    route = attributes(recorder.one("route chat"))
    assert (route["taskrouter.decision.plan"], route["taskrouter.outcome.check"]) == ("gate", "escalated")
    assert attributes(recorder.one("chat openai/first"))["taskrouter.attempt.role"] == "escalation"
    assert "taskrouter.fallbacks" not in recorder.points()


def test_a_fallback_behind_a_plan_is_counted(recorder: Recorder) -> None:
    r = router(recorder)

    def call(model: str) -> Any:
        if model == "first":
            raise ConnectionError
        return completion(model)

    decision = dataclasses.replace(planned(r, "gate", ("first", "a")), fallbacks=("b",))
    assert r.run(STEP, call, decision=decision).model == "a"
    assert "taskrouter.fallbacks" not in recorder.points()
    decision = dataclasses.replace(planned(r, "single", ("first",)), fallbacks=("b",))
    assert r.run(STEP, call, decision=decision).model == "b"
    assert len(recorder.points()["taskrouter.fallbacks"]) == 1


async def test_streams_that_are_read_in_the_background_have_spans_of_their_own(recorder: Recorder) -> None:
    r = router(recorder, buffer_streams=True)

    def pieces(model: str) -> Any:
        with recorder.span(f"http {model}"):
            yield chunk("4")
        yield chunk("2", "stop")

    async def apieces(model: str) -> AsyncIterator[Any]:
        for piece in pieces(model):
            await asyncio.sleep(0)
            yield piece

    assert len(list(r.run_stream(STEP, pieces, decision=planned(r)))) == 2
    assert sorted(recorder.tree()) == sorted([*TREE, *HTTP])
    assert len([c async for c in r.arun_stream(STEP, apieces, decision=planned(r))]) == 2
    assert sorted(recorder.tree()) == sorted([*TREE, *HTTP] * 2)
    chats = [span for span in recorder.spans if span.name.startswith("chat")]
    assert all("gen_ai.response.time_to_first_chunk" in attributes(span) for span in chats)
