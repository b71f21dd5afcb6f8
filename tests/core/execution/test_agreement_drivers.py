"""Proposals from sync and async code, over real HTTP and through callers' own functions; their threads and contexts."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from taskrouter import Decision, Plan, ResponseView, Router, Step, hookimpl
from taskrouter import errors as e
from taskrouter.simulator import RunningServer, serve

STEP = Step(messages=[{"role": "user", "content": "What is 17 + 25?"}])
NAMES = ("a", "b", "last")


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """Three simulated models that know how to add."""
    models = [{"id": name, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0} for name in NAMES]
    with serve({"speed": 0.0, "models": models}) as running:
        yield running


class Sums:
    """Reads a sum out of whatever is said about it."""

    @hookimpl
    def taskrouter_answers(self) -> dict[str, Any]:
        return {"sums": lambda step, view: "42" if "42" in view.text else None}


def router(server: RunningServer | None = None, backend: str = "openai", **execution: Any) -> Router:
    where = {"base_url": "http://127.0.0.1:9" if server is None else server.base_url, "backend": backend}
    prices = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
    models = [{"id": name, **where, **prices} for name in NAMES]
    config = {"execution": {"retries": 0, **execution}}
    return Router(models, incumbent="last", config=config, plugins=[Sums()])


def agree(routing: Router) -> Decision:
    return dataclasses.replace(routing.route(STEP), plan=Plan(kind="agree", models=NAMES), fallbacks=())


def chunk(text: str = "", finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}


def texts(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def asked(server: RunningServer) -> list[str]:
    return sorted(str(record.model) for record in server.requests)


# --- over HTTP ------------------------------------------------------------------------------------------------------


# Two first calls at once make LiteLLM build its synchronous client twice, and drop one with its connection open.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("backend", ["openai", "litellm"])
async def test_two_agree_and_nobody_else_is_asked(server: RunningServer, backend: str) -> None:
    async with router(server, backend) as r:
        for outcome in (r.complete(STEP, decision=agree(r)), await r.acomplete(STEP, decision=agree(r))):
            assert (outcome.check, outcome.model, outcome.response.model) == ("agreed", "a", "a")
            assert [p.same for p in outcome.proposals] == [True, True]
            assert outcome.cost_usd == pytest.approx(sum(a.cost_usd or 0.0 for a in outcome.attempts))
        assert asked(server) == ["a", "a", "b", "b"]
        assert [state.in_flight for state in r.health()] == [0, 0, 0]
    gc.collect()  # what was dropped is to be told of here


@pytest.mark.parametrize("fault", ["server_error", "malformed_json", "refusal"])
async def test_one_without_an_answer_brings_the_last_model(server: RunningServer, fault: Any) -> None:
    async with router(server) as r:
        for number in range(2):
            server.script("b", fault)
            outcome = await r.acomplete(STEP, decision=agree(r)) if number else r.complete(STEP, decision=agree(r))
            assert (outcome.check, outcome.model, outcome.status) == ("disagreed", "last", "ok")
            assert outcome.response.model == "last"


async def test_a_proposer_that_hangs_is_cut_off_when_there_can_be_no_agreement(server: RunningServer) -> None:
    server.script("a", "timeout")
    server.script("b", "server_error")
    async with router(server) as r:
        outcome = await r.acomplete(STEP, decision=agree(r))
        assert [(a.model, a.role, a.status) for a in outcome.attempts] == [
            ("a", "propose", "cancelled"),
            ("b", "propose", "failed"),
            ("last", "escalation", "ok"),
        ]
        kept = await asyncio.to_thread(server.wait_for_connections, 2)
        assert kept, "those that have answered may be kept for the next call"


@pytest.mark.parametrize("backend", ["openai", "litellm"])
async def test_streams_that_agree_hand_on_the_first_ones_chunks(server: RunningServer, backend: str) -> None:
    async with router(server, backend, buffer_streams=True) as r:
        stream = r.stream(STEP, decision=agree(r))
        astream = r.astream(STEP, decision=agree(r))
        for read, chunks in ((stream, list(stream)), (astream, [c async for c in astream])):
            assert read.outcome is not None
            assert (read.outcome.check, read.outcome.model) == ("agreed", "a")
            assert {c.model for c in chunks} == {"a"}
            assert texts(chunks) == read.outcome.text
        assert asked(server) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("fault", ["cut_stream", "error_event", "truncated", "drop_connection"])
async def test_a_stream_that_fails_in_its_middle_brings_the_last_models(server: RunningServer, fault: Any) -> None:
    async with router(server, buffer_streams=True) as r:
        server.script("a", fault)
        stream = r.stream(STEP, decision=agree(r))
        synchronous = list(stream)
        server.script("a", fault)
        astream = r.astream(STEP, decision=agree(r))
        for read, chunks in ((stream, synchronous), (astream, [c async for c in astream])):
            assert read.outcome is not None
            assert (read.outcome.check, read.outcome.model) == ("disagreed", "last")
            assert {c.model for c in chunks} == {"last"}
            assert read.outcome.attempts[0].status == "failed"


def test_a_stream_that_is_not_held_back_is_the_last_models(server: RunningServer) -> None:
    with router(server) as r, r.stream(STEP, decision=agree(r)) as stream:
        list(stream)
    assert stream.outcome is not None
    assert (stream.outcome.check, asked(server)) == ("none", ["last"])


def test_a_sync_stream_that_hangs_is_left_when_its_time_is_up(server: RunningServer) -> None:
    server.script("a", "stall")
    with router(server, buffer_streams=True, stall_timeout_s=0.2) as r:
        with r.stream(STEP, decision=agree(r)) as stream:
            assert "42" in texts(list(stream))
        assert stream.outcome is not None
        assert [(a.status, a.error_type) for a in stream.outcome.attempts] == [
            ("failed", "timeout"),
            ("ok", None),
            ("ok", None),
        ]
        assert server.wait_for_connections(2)


async def test_an_async_stream_that_is_given_up_closes_its_connection(server: RunningServer) -> None:
    server.script("a", "stall")
    server.script("b", "server_error")
    async with router(server, buffer_streams=True) as r:
        async with r.astream(STEP, decision=agree(r)) as stream:
            assert "42" in texts([c async for c in stream])
        assert await asyncio.to_thread(server.wait_for_connections, 2)
        assert stream.outcome is not None
        assert stream.outcome.attempts[0].status == "cancelled"


# --- stopping -------------------------------------------------------------------------------------------------------


async def test_a_cancelled_step_cancels_all_proposals_and_asks_nobody_else() -> None:
    called: list[str] = []
    closed: list[str] = []
    both = asyncio.Event()

    async def call(model: str) -> str:
        called.append(model)
        if len(called) == 2:
            both.set()
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(model)
        return "never"

    r = router()
    task = asyncio.create_task(r.arun(STEP, call, decision=agree(r)))
    await both.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(closed) == called == ["a", "b"]
    assert [state.in_flight for state in r.health()] == [0, 0, 0]
    assert len(asyncio.all_tasks()) == 1


async def endless(closed: list[str], model: str, reading: asyncio.Event) -> AsyncIterator[Any]:
    try:
        yield chunk("4")
        if model == "b":
            reading.set()
        await asyncio.Event().wait()
    finally:
        closed.append(model)


async def test_a_cancelled_reader_closes_the_streams_of_all_proposers() -> None:
    closed: list[str] = []
    reading = asyncio.Event()
    r = router(buffer_streams=True)
    stream = r.arun_stream(STEP, lambda model: endless(closed, model, reading), decision=agree(r))
    task = asyncio.ensure_future(anext(stream))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(closed) == ["a", "b"]
    assert [state.in_flight for state in r.health()] == [0, 0, 0]
    await stream.aclose()


def test_an_interrupt_while_waiting_books_every_call() -> None:
    release = threading.Event()
    ends: list[Any] = []

    class Ends:
        @hookimpl
        def taskrouter_attempted(self, attempt: Any) -> None:
            ends.append((attempt.model, attempt.status))

    def call(model: str) -> str:
        if model == "b":
            raise KeyboardInterrupt
        release.wait(60)
        return "42"

    r = Router([{"id": n, "base_url": "http://127.0.0.1:9"} for n in NAMES], incumbent="last", plugins=[Ends()])
    with pytest.raises(KeyboardInterrupt):
        r.run(STEP, call, decision=agree(r))
    release.set()
    assert sorted(ends) == [("a", "cancelled"), ("b", "cancelled")]
    assert [state.in_flight for state in r.health()] == [0, 0, 0]


def test_the_thread_of_a_stream_that_is_given_up_ends_at_its_next_chunk() -> None:
    closed, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[Any]:
        try:
            yield chunk("4")
            assert go_on.wait(60)
            while True:
                yield chunk("2")
        finally:
            closed.set()

    def broken() -> Iterator[Any]:
        raise ConnectionError
        yield

    streams = {"a": slow, "b": broken, "last": lambda: iter([chunk("42", "stop")])}
    r = router(buffer_streams=True)
    stream = r.run_stream(STEP, lambda model: streams[model](), decision=agree(r))
    assert list(stream) == [chunk("42", "stop")]
    go_on.set()
    assert closed.wait(60)


# --- callers --------------------------------------------------------------------------------------------------------


async def test_the_native_answer_is_the_very_object_that_the_call_returned() -> None:
    answers = {name: {"choices": [{"message": {"content": "42"}}]} for name in NAMES}

    async def acall(model: str) -> Any:
        return answers[model]

    r = router()
    assert r.run(STEP, lambda model: answers[model], decision=agree(r)).response is answers["a"]
    assert (await r.arun(STEP, acall, decision=agree(r))).response is answers["a"]


def test_a_tool_call_is_proposed_by_two_and_leaves_once() -> None:
    tool = {"type": "function", "function": {"name": "pay", "parameters": {"properties": {"usd": {"type": "number"}}}}}
    step = Step(messages=STEP.messages, tools=[tool])

    def call(model: str) -> Any:
        arguments = '{"usd": 5}' if model == "a" else '{"usd": 5.0}'
        return {"choices": [{"message": {"tool_calls": [{"function": {"name": "pay", "arguments": arguments}}]}}]}

    r = router()
    outcome = r.run(step, call, decision=agree(r))
    assert (outcome.check, outcome.model) == ("agreed", "a")
    assert [c.arguments for c in outcome.view.tool_calls] == ['{"usd": 5}']


async def test_a_view_that_is_wrong_does_not_end_the_step_while_another_answers() -> None:
    def view(native: str) -> ResponseView:
        return ResponseView(text=native) if native == "last" else None  # type: ignore[return-value]

    async def acall(model: str) -> str:
        return model

    r = router()
    for outcome in (
        r.run(STEP, lambda model: model, view, decision=agree(r)),
        await r.arun(STEP, acall, view, decision=agree(r)),
    ):
        assert (outcome.model, outcome.check) == ("last", "disagreed")


async def test_a_stream_of_which_no_chunk_can_be_read_is_a_failed_proposal() -> None:
    def view(native: Any) -> ResponseView:
        return ResponseView(text="42") if native == "last" else None  # type: ignore[return-value]

    async def chunks(model: str) -> AsyncIterator[str]:
        yield model

    r = router(buffer_streams=True)
    stream = r.run_stream(STEP, lambda model: iter([model]), view, decision=agree(r))
    astream = r.arun_stream(STEP, chunks, view, decision=agree(r))
    for read, said in ((stream, list(stream)), (astream, [c async for c in astream])):
        assert said == ["last"]
        assert read.outcome is not None
        assert [a.error_type for a in read.outcome.attempts][:1] == ["local"]


def test_a_budget_pays_for_proposals_that_lose() -> None:
    r = router()
    with r.budget(usd=1.0) as budget:
        outcome = r.run(STEP, lambda model: model, decision=agree(r))
        assert len(outcome.attempts) == 3
        assert budget.spent_usd == pytest.approx(outcome.cost_usd, abs=1e-8)


def test_the_account_says_what_the_proposals_came_to() -> None:
    r = router()
    said = r.run(STEP, lambda model: {"a": "41", "b": "42"}.get(model, "is 42"), decision=agree(r)).to_dict()
    assert (said["model"], said["check"]) == ("last", "disagreed")
    assert said["proposals"] == [
        {"model": "a", "status": "ok", "same": False},
        {"model": "b", "status": "ok", "same": True},
    ]
    assert [a["role"] for a in said["attempts"]] == ["propose", "propose", "escalation"]


def test_all_that_fail_are_in_the_error() -> None:
    def call(model: str) -> str:
        raise ConnectionError

    r = router()
    with pytest.raises(e.AllAttemptsFailedError) as caught:
        r.run(STEP, call, decision=agree(r))
    assert {a.model for a in caught.value.attempts} == set(NAMES)
