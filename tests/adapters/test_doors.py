"""What a door says that its framework lacks is exactly what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adapters.contract import DOORS, SYNC, Bench, Pair
from tests.adapters.door import ANTHROPIC, OPENAI, RESPONSES, Lack, Lacks

LACKING: dict[str, set[Lack]] = {
    "agent_framework": {"sync", "thinking"},
    "autogen": {"sync", "thinking"},
    "langchain": set(),
    "llamaindex": set(),
}
"""By framework: what is missing for good. A door that lacks anything else is not finished."""


def test_every_door_lacks_what_its_framework_lacks(bench: Bench) -> None:
    assert (Path(__file__).parent / "doors" / f"{bench.door.name}.py").exists()
    assert [door.name for door in DOORS].count(bench.door.name) == 1
    assert bench.door.wires in ((OPENAI, ANTHROPIC), (OPENAI, RESPONSES))
    assert bench.door.lacks == LACKING[bench.door.name]


async def test_synchronous_calls_are_there_unless_they_are_missed(bench: Bench, pair: Pair) -> None:
    routed = bench.routed(pair)
    for way in SYNC:
        if "sync" in bench.door.lacks:
            with pytest.raises(Lacks):
                await bench.ask(routed, way)
        else:
            assert (await bench.ask(routed, way)).text


async def test_an_account_is_there_unless_it_is_missed(bench: Bench, pair: Pair) -> None:
    reply = await bench.ask(bench.routed(pair), "aask")
    assert (reply.account is None) == ("account" in bench.door.lacks)


def test_thoughts_are_there_unless_they_are_missed(bench: Bench) -> None:
    thinking = bench.door.wires[1]
    if "thinking" in bench.door.lacks:
        with pytest.raises(Lacks):
            bench.door.candidate(thinking, bench.vendors.url, thinks=True)
    else:
        assert bench.door.candidate(thinking, bench.vendors.url, thinks=True) is not None


async def test_thoughts_arrive_at_the_router(bench: Bench) -> None:
    if "thinking" in bench.door.lacks:
        assert bench.door.wires[1] is not None
        return
    thinking = bench.door.wires[1]
    thinker = bench.door.candidate(thinking, bench.vendors.url, thinks=True)
    routed = bench.routed((thinking, bench.door.wires[0]), candidates={thinking.id: thinker})
    await bench.ask(routed, "aask")
    body = bench.last_to(thinking).body
    assert body.get("thinking") or body.get("reasoning")


def test_a_saved_form_is_there_unless_it_is_missed(bench: Bench, pair: Pair) -> None:
    routed = bench.door.routed(bench.candidates(pair), incumbent=pair[0].id)
    if "dump" in bench.door.lacks:
        with pytest.raises(Lacks):
            bench.door.dump(routed)
    else:
        assert bench.door.dump(routed)
