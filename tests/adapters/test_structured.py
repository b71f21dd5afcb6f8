"""Structured output: the same typed answer whoever gave it."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field
from tests.adapters.contract import Bench, Pair, Way
from tests.adapters.door import Door
from tests.standins.server import Fault

from taskrouter.errors import NoEligibleModelError


class Weather(BaseModel):
    """The weather of a city."""

    city: str = Field(description="Name of the city.")
    degrees: int = Field(description="Degrees Celsius.")


QUESTION = "It is 21 degrees in 'Paris'. What is the weather?"
PARIS = Weather(city="Paris", degrees=21)


@pytest.fixture(params=[0, 1], ids=["there", "back"])
def pair(door: Door, request: pytest.FixtureRequest) -> Pair:
    """Two models that take schemas, in either order: of both vendors, or of the one whose native client can."""
    first, *others = door.shaping
    second = others[0] if others else first._replace(id="another", model="gpt-4.1")
    return (second, first) if request.param else (first, second)


async def test_an_answer_is_an_instance_of_what_was_asked_for(bench: Bench, whole: Way, pair: Pair) -> None:
    reply = await bench.ask(bench.routed(pair), whole, bench.request(QUESTION, schema=Weather))
    assert reply.parsed == PARIS
    assert type(reply.parsed) is Weather
    assert bench.asked == [pair[0].model]


@pytest.mark.parametrize("fault", ["unavailable", "silent", "empty"])
async def test_whoever_stands_in_gives_the_same(bench: Bench, whole: Way, pair: Pair, fault: Fault) -> None:
    bench.vendors.fail(pair[0].model, fault)
    reply = await bench.ask(bench.routed(pair), whole, bench.request(QUESTION, schema=Weather))
    assert reply.parsed == PARIS
    assert bench.asked == [wire.model for wire in pair]


async def test_a_shape_may_follow_a_conversation(bench: Bench, whole: Way, pair: Pair) -> None:
    routed = bench.routed(pair)
    asked = bench.request("Hello")
    said = await bench.ask(routed, whole, asked)
    messages = [*asked.messages, *said.native, *bench.request(QUESTION).messages]
    bench.vendors.fail(pair[0].model, "limited")
    request = bench.request(QUESTION, schema=Weather)
    request.messages[:] = messages
    assert (await bench.ask(routed, whole, request)).parsed == PARIS
    assert bench.outcome.model == pair[1].id


async def test_an_answer_of_another_shape_is_a_failed_attempt(bench: Bench, whole: Way, pair: Pair) -> None:
    bench.vendors.fail(pair[0].model, "misshapen")
    reply = await bench.ask(bench.routed(pair), whole, bench.request(QUESTION, schema=Weather))
    assert reply.parsed == PARIS
    assert bench.asked == [wire.model for wire in pair]
    assert bench.outcome.status == "fallback"


async def test_a_model_that_has_no_schemas_is_not_asked(bench: Bench, whole: Way, pair: Pair) -> None:
    less = {"capabilities": {"tools": False, "json_schema": False}}
    routed = bench.routed(pair, facts={pair[0].id: less})
    assert (await bench.ask(routed, whole, bench.request(QUESTION, schema=Weather))).parsed == PARIS
    assert bench.asked == [pair[1].model]
    nobody = bench.routed(pair, facts={wire.id: less for wire in pair})
    with pytest.raises(NoEligibleModelError):
        await bench.ask(nobody, whole, bench.request(QUESTION, schema=Weather))
    assert bench.asked == [pair[1].model]


async def test_a_vendor_whose_client_takes_no_schema_is_not_asked(bench: Bench, whole: Way) -> None:
    unable = [wire for wire in bench.door.wires if wire not in bench.door.shaping]
    able = bench.door.shaping[0]
    order = (*unable, able) if unable else bench.door.wires
    reply = await bench.ask(bench.routed((order[0], order[1])), whole, bench.request(QUESTION, schema=Weather))
    assert reply.parsed == PARIS
    assert bench.asked == [able.model]
