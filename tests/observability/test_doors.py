"""The span tree of a step at every door and in every way to ask, however the step ends."""

from __future__ import annotations

import asyncio

import pytest
from tests.adapters.contract import Pair, Way
from tests.observability.scene import Scene
from tests.standins.brain import GREETING

from taskrouter.observability import names as n

PATIENCE_S = 10


async def test_an_answer_is_a_route_with_one_chat(scene: Scene, way: Way, pair: Pair) -> None:
    routed = scene.routed(pair)
    with scene.request_span():
        reply = await scene.ask(routed, way)
    assert reply.text == GREETING
    (step,) = scene.steps()
    assert (step.status, step.each(n.ATTEMPT_ROLE)) == ("ok", ["primary"])
    assert step.said[n.OUTCOME_MODEL] == pair[0].id
    assert step.said[n.USAGE_OUTPUT] == len(GREETING.split())
    assert step.said[n.COST_TOTAL] > 0
    assert step.each(n.GENAI_REQUEST_STREAM) == [True if "stream" in way else None]


async def test_two_steps_are_two_routes_beneath_the_same_span(scene: Scene, way: Way, pair: Pair) -> None:
    routed = scene.routed(pair)
    with scene.request_span():
        await scene.ask(routed, way)
        await scene.ask(routed, way)
    assert [len(step.chats) for step in scene.steps()] == [1, 1]
    assert len({span.context.trace_id for span in scene.spans if span.context}) == 1


async def test_a_fallback_is_a_second_chat(scene: Scene, way: Way, pair: Pair) -> None:
    scene.vendors.fail(pair[0].model, "error")
    routed = scene.routed(pair)
    with scene.request_span():
        await scene.ask(routed, way)
    (step,) = scene.steps()
    assert (step.status, step.said[n.OUTCOME_MODEL]) == ("fallback", pair[1].id)
    assert step.each(n.ATTEMPT_ROLE) == ["primary", "fallback"]
    assert step.each(n.ERROR_TYPE) == ["server_error", None]
    assert step.each(n.HTTP_STATUS) == [500, None]


async def test_retries_stay_inside_their_chat(scene: Scene, way: Way, pair: Pair) -> None:
    scene.vendors.fail(pair[0].model, "error")
    routed = scene.routed(pair, execution={"retries": 1, "backoff_base_s": 0.001, "backoff_max_s": 0.001})
    with scene.request_span():
        await scene.ask(routed, way)
    (step,) = scene.steps()
    assert step.each(n.ATTEMPT_RETRIES) == [1, 0]
    assert step.each(n.ATTEMPT_INDEX) == [1, 3]


async def test_where_nothing_answers_the_route_is_an_error(scene: Scene, way: Way, pair: Pair) -> None:
    for wire in pair:
        scene.vendors.fail(wire.model, "unavailable")
    routed = scene.routed(pair)
    with scene.request_span(), pytest.raises(Exception):  # noqa: B017, PT011 - each framework's own
        await scene.ask(routed, way)
    (step,) = scene.steps()
    assert (step.status, step.each(n.ERROR_TYPE)) == ("exhausted", ["overloaded"] * 2)
    assert n.OUTCOME_MODEL not in step.said


async def test_a_stream_that_breaks_after_its_first_word_is_an_error(scene: Scene, streamed: Way, pair: Pair) -> None:
    scene.vendors.fail(pair[0].model, "broken")
    routed = scene.routed(pair)
    with scene.request_span(), pytest.raises(Exception):  # noqa: B017, PT011 - each framework's own
        await scene.ask(routed, streamed)
    (step,) = scene.steps()
    assert (step.status, step.each(n.ERROR_TYPE)) == ("exhausted", ["stream_broken"])
    assert step.said[n.USAGE_OUTPUT] > 0, "what had arrived is paid for"


async def test_proposals_are_chats_beside_each_other(scene: Scene, way: Way, pair: Pair) -> None:
    routed, (first, second, _) = scene.planned(pair, "agree", buffer_streams=True)
    with scene.request_span():
        await scene.ask(routed, way)
    (step,) = scene.steps()
    assert (step.status, step.said[n.OUTCOME_CHECK]) == ("ok", "agreed")
    assert step.each(n.ATTEMPT_ROLE) == ["propose", "propose"]
    assert sorted(step.each(n.GENAI_REQUEST_MODEL)) == sorted(
        f"{wire.provider}/{wire.model}" for wire in (first, second)
    )


async def test_proposals_that_differ_are_followed_by_an_escalation(scene: Scene, way: Way, pair: Pair) -> None:
    routed, (_, second, last) = scene.planned(pair, "agree", buffer_streams=True)
    scene.vendors.fail(second.model, "error")
    with scene.request_span():
        await scene.ask(routed, way)
    (step,) = scene.steps()
    assert (step.status, step.said[n.OUTCOME_CHECK], step.said[n.OUTCOME_MODEL]) == ("ok", "disagreed", last.id)
    assert step.each(n.ATTEMPT_ROLE) == ["propose", "propose", "escalation"]
    assert step.said[n.FALLBACK_USED] is False


async def test_a_cancelled_call_is_no_error(scene: Scene, pair: Pair) -> None:
    routed = scene.routed(pair)
    with scene.request_span(), scene.vendors.holding(pair[0].model) as gate:
        call = asyncio.create_task(scene.door.aask(routed, scene.request()))
        assert await asyncio.to_thread(gate.reached.wait, PATIENCE_S)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    (step,) = scene.steps()
    assert (step.status, step.each(n.ATTEMPT_OUTCOME)) == ("cancelled", ["cancelled"])


async def test_proposals_that_are_cancelled_end_together(scene: Scene, pair: Pair) -> None:
    routed, (first, second, _) = scene.planned(pair, "agree")
    with scene.request_span(), scene.vendors.holding(first.model) as one, scene.vendors.holding(second.model) as two:
        call = asyncio.create_task(scene.door.aask(routed, scene.request()))
        for gate in (one, two):
            assert await asyncio.to_thread(gate.reached.wait, PATIENCE_S)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    (step,) = scene.steps()
    assert (step.status, step.each(n.ATTEMPT_OUTCOME)) == ("cancelled", ["cancelled"] * 2)
