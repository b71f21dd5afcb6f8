"""Streams: what is handed on, what is held, and what happens when they break."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.exceptions import ModelError
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessageChunk
from langgraph.graph import END, START, MessagesState, StateGraph

from taskrouter.errors import StreamBroken
from taskrouter.simulator import RunningServer

from .conftest import QUESTION, Routed, Runs

ANSWER = "12 * 12 = 144"


async def chunks_of(model: Any, mode: str) -> list[AIMessageChunk]:
    if mode == "sync":
        return list(model.stream(QUESTION))
    return [chunk async for chunk in model.astream(QUESTION)]


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_the_account_is_on_exactly_one_chunk(routed: Routed, mode: str) -> None:
    chunks = await chunks_of(routed(), mode)
    assert "".join(chunk.text for chunk in chunks) == ANSWER
    assert [("taskrouter" in chunk.response_metadata) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert [chunk.chunk_position for chunk in chunks].count("last") == 1
    assert chunks[-1].chunk_position == "last"


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_streams_count_tokens_though_the_address_is_not_openais(routed: Routed, mode: str) -> None:
    chunks = await chunks_of(routed(), mode)
    counted = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata is not None]
    assert len(counted) == 1
    cost_usd = chunks[-1].response_metadata["taskrouter"]["cost_usd"]
    assert cost_usd == pytest.approx((counted[0]["input_tokens"] + 4 * counted[0]["output_tokens"]) / 1e6)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("fault", ["cut_after_role", "server_error", "rate_limit"])
async def test_a_stream_that_fails_before_its_first_word_falls_back(
    routed: Routed, server: RunningServer, mode: str, fault: Any
) -> None:
    server.script("first", fault)
    chunks = await chunks_of(routed(), mode)
    assert "".join(chunk.text for chunk in chunks) == ANSWER
    account = chunks[-1].response_metadata["taskrouter"]
    assert (account["model"], account["status"], account["attempts"]) == ("second", "fallback", 2)
    assert [r.model for r in server.requests] == ["first", "second"]


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_stream_that_breaks_later_is_never_continued_by_another_model(
    routed: Routed, server: RunningServer, mode: str
) -> None:
    server.script("first", "drop_connection")
    with pytest.raises(ModelError) as caught:
        await chunks_of(routed(), mode)
    broken = caught.value.__cause__
    assert isinstance(broken, StreamBroken)
    assert broken.partial.text
    assert ANSWER.startswith(broken.partial.text)
    assert not caught.value.is_retryable
    assert [r.model for r in server.requests] == ["first"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_stream_mode_messages_shows_every_token_once(routed: Routed, runs: Runs, asynchronous: bool) -> None:
    model = routed()

    def answer(state: MessagesState) -> MessagesState:
        return {"messages": [model.invoke(state["messages"])]}

    async def aanswer(state: MessagesState) -> MessagesState:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("answer", aanswer if asynchronous else answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    app = graph.compile()
    asked = {"messages": [("user", QUESTION)]}
    if asynchronous:
        shown = [part async for part, _ in app.astream(asked, {"callbacks": [runs]}, stream_mode="messages")]
    else:
        shown = [part for part, _ in app.stream(asked, {"callbacks": [runs]}, stream_mode="messages")]
    assert "".join(part.text for part in shown) == ANSWER
    assert len([part for part in shown if part.text]) > 1
    assert len(runs.ended) == 1


async def test_events_show_every_token_once(routed: Routed) -> None:
    texts = []
    async for event in routed().astream_events(QUESTION, version="v2"):
        if event["event"] == "on_chat_model_stream":
            texts.append(event["data"]["chunk"].text)
    assert "".join(texts) == ANSWER


def test_v3_streams_give_the_same_text(routed: Routed) -> None:
    stream = routed().stream_events(QUESTION, version="v3")
    assert "".join(stream.text) == ANSWER
    assert stream.output.response_metadata["taskrouter"]["model"] == "first"


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_reader_that_stops_early_stops_the_call(routed: Routed, server: RunningServer, mode: str) -> None:
    if mode == "sync":
        stream = routed().stream(QUESTION)
        next(stream)
        stream.close()  # type: ignore[attr-defined] # it is a generator
    else:
        astream: Any = routed().astream(QUESTION)
        await anext(astream)
        await astream.aclose()
    assert len(server.requests) == 1


async def test_a_cancelled_call_is_not_followed_by_another(routed: Routed, server: RunningServer) -> None:
    server.script("first", "timeout")
    call = asyncio.create_task(routed().ainvoke(QUESTION))
    assert await asyncio.to_thread(server.wait_for, lambda requests: len(requests) == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [r.model for r in server.requests] == ["first"]


async def test_a_cancelled_stream_is_not_followed_by_another(routed: Routed, server: RunningServer) -> None:
    server.script("first", "timeout")

    async def read() -> list[AIMessageChunk]:
        return [chunk async for chunk in routed().astream(QUESTION)]

    call = asyncio.create_task(read())
    assert await asyncio.to_thread(server.wait_for, lambda requests: len(requests) == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [r.model for r in server.requests] == ["first"]


def test_a_chunk_that_calls_itself_the_last_carries_the_account(routed: Routed) -> None:
    spoken = FakeListChatModel(responses=["yes"])
    chunks = list(routed(candidates={"first": spoken}, config=None).stream(QUESTION))
    assert [chunk.text for chunk in chunks] == ["y", "e", "s"]
    assert ["taskrouter" in chunk.response_metadata for chunk in chunks] == [False, False, True]
    assert chunks[-1].response_metadata["model_name"].endswith("first")
