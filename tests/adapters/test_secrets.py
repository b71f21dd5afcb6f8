"""Nothing private leaves: no key, prompt, answer or argument in what others read."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest
from tests.adapters.contract import Bench, Pair, Way, chain
from tests.adapters.door import Assistant, Call, Lacks, Result, System, User
from tests.standins.server import Fault

from taskrouter.errors import TaskRouterError

KEY, PROMPT, ARGUMENT = "sk-canary-0123456789", "canary of a prompt", "canary of an argument"
CANARIES = (KEY, "0123456789", PROMPT, ARGUMENT, "Hello! What can I do")


def weather(city: str) -> str:
    """Look up the weather of a city."""
    return city


async def told(bench: Bench, way: Way, pair: Pair) -> tuple[Any, BaseException | None]:
    """Ask with canaries in everything, and return the routed model and the error."""
    keyed = {wire.id: bench.door.candidate(wire, bench.vendors.url, key=KEY) for wire in pair}
    routed = bench.routed(pair, candidates=keyed)
    call = Call("call_1", "weather", {"city": ARGUMENT})
    history = (System(PROMPT), User(PROMPT), Assistant(PROMPT, [call]), Result(call, PROMPT), User(PROMPT))
    try:
        await bench.ask(routed, way, bench.request(*history, tools=[weather]))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return routed, error
    return routed, None


@pytest.mark.parametrize("fault", [None, "unavailable", "silent"])
async def test_nothing_private_is_in_spans_logs_and_decisions(
    bench: Bench, way: Way, pair: Pair, fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for wire in pair if fault == "unavailable" else pair[:1]:
        if fault is not None:
            bench.vendors.fail(wire.model, fault)
    routed, _ = await told(bench, way, pair)
    assert bench.spans
    seen = "".join(span.to_json() for span in bench.spans)
    ours = ("taskrouter", *bench.door.loggers)
    seen += "".join(r.getMessage() + str(r.exc_info) for r in caplog.records if r.name.startswith(ours))
    seen += "".join(f"{d!r} {d.to_dict()} {d.explain()}" for d in bench.watcher.decisions)
    seen += "".join(f"{o!r} {o.to_dict()}" for o in bench.watcher.outcomes)
    seen += repr(bench.watcher.attempts) + repr(routed) + str(routed) + repr(routed.router)
    assert found(seen) == []


@pytest.mark.parametrize("fault", ["error", "silent", "broken"])
async def test_nothing_private_is_in_an_error(bench: Bench, way: Way, pair: Pair, fault: Fault) -> None:
    for wire in pair:
        bench.vendors.fail(wire.model, fault)
    _, error = await told(bench, way, pair)
    assert error is not None
    ours = [one for one in chain(error) if isinstance(one, TaskRouterError)]
    assert ours
    group = [one for many in ours for one in getattr(many, "exceptions", ())]
    assert found("".join(f"{one!s} {one!r}" for one in (error, *ours, *group))) == []
    assert found("".join(traceback.format_exception_only(error))) == []


async def test_a_model_that_is_saved_has_no_key(bench: Bench, pair: Pair) -> None:
    keyed = {wire.id: bench.door.candidate(wire, bench.vendors.url, key=KEY) for wire in pair}
    routed = bench.door.routed(keyed, incumbent=pair[0].id)
    try:
        saved = bench.door.dump(routed)
    except Lacks:
        assert "dump" in bench.door.lacks
        return
    assert saved
    assert found(saved) == []


def found(text: str) -> list[str]:
    """Return the canaries in a text."""
    return [canary for canary in CANARIES if canary in text]
