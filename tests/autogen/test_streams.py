"""Streams: what is handed on, what is held, what breaks, and who hangs up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models.replay import ReplayChatCompletionClient
from tests.autogen.models import ANTHROPIC, OPENAI, THINKING, anthropic, openai
from tests.standins import Vendors
from tests.standins.brain import THOUGHT
from tests.watcher import Watcher

from autogen_taskrouter import RoutedChatCompletionClient, RoutedCreateResult
from taskrouter.errors import AllAttemptsFailedError, StreamBroken

from .conftest import GREETING, QUESTION, Routed, Routers, asked, streamed, text_of

FIRST = pytest.mark.parametrize("first", [OPENAI, ANTHROPIC])
"""Either vendor as the incumbent."""


def other(name: str) -> str:
    return ANTHROPIC if name == OPENAI else OPENAI


@FIRST
async def test_a_stream_is_its_text_and_then_one_result(routed: Routed, first: str) -> None:
    chunks = await streamed(routed(incumbent=first))
    assert text_of(chunks) == GREETING
    assert len(chunks) > 2
    result = chunks[-1]
    assert isinstance(result, RoutedCreateResult)
    assert (result.content, result.finish_reason) == (GREETING, "stop")
    assert result.taskrouter["model"] == first


@FIRST
@pytest.mark.parametrize("fault", ["error", "unavailable", "limited", "cut", "empty", "silent"])
async def test_a_stream_that_fails_before_its_first_word_falls_back(
    routed: Routed, vendors: Vendors, first: str, fault: Any
) -> None:
    vendors.fail(first, fault)
    chunks = await streamed(routed(incumbent=first))
    assert text_of(chunks) == GREETING
    assert (chunks[-1].taskrouter["model"], chunks[-1].taskrouter["status"]) == (other(first), "fallback")
    assert asked(vendors) == [first, other(first)]


@FIRST
@pytest.mark.parametrize("fault", ["broken", "stops"])
async def test_a_stream_that_breaks_later_is_never_continued_by_another_model(
    routed: Routed, vendors: Vendors, first: str, fault: Any
) -> None:
    vendors.fail(first, fault)
    shown: list[Any] = []

    async def read() -> None:
        async for chunk in routed(incumbent=first).create_stream([QUESTION]):
            shown.append(chunk)

    with pytest.raises(StreamBroken) as caught:
        await read()
    assert shown
    assert "".join(shown) == caught.value.partial.text
    assert GREETING.startswith(caught.value.partial.text)
    assert asked(vendors) == [first]


@FIRST
@pytest.mark.parametrize("fault", ["broken", "stops"])
async def test_half_a_call_is_none(
    routed: Routed, vendors: Vendors, weather: FunctionTool, first: str, fault: Any
) -> None:
    vendors.fail(first, fault)
    question = UserMessage(content="What is the weather in 'Paris'?", source="user")
    (result,) = await streamed(routed(incumbent=first), [question], tools=[weather])
    assert result.content[0].name == "get_weather"
    assert result.finish_reason == "function_calls"
    assert asked(vendors) == [first, other(first)]


async def test_a_stream_that_nobody_gives_says_why(routed: Routed, vendors: Vendors) -> None:
    vendors.fail(OPENAI, "empty")
    vendors.fail(ANTHROPIC, "silent")
    with pytest.raises(AllAttemptsFailedError) as caught:
        await streamed(routed())
    assert [attempt.model for attempt in caught.value.attempts] == [OPENAI, ANTHROPIC]


async def test_the_text_of_the_result_is_not_counted_again(
    routed: Routed, router_of: Routers, watcher: Watcher
) -> None:
    await streamed(routed(router=router_of()))
    assert watcher.outcomes[0].view.text == GREETING


async def test_a_result_without_chunks_is_an_answer() -> None:
    said = CreateResult(
        finish_reason="unknown", content="yes", usage=RequestUsage(prompt_tokens=3, completion_tokens=1), cached=False
    )
    client = RoutedChatCompletionClient({"replay": ReplayChatCompletionClient([said])})
    (result,) = await streamed(client)
    assert result.content == "yes"


async def test_a_stream_need_not_be_a_generator() -> None:
    class Chunks:
        def __init__(self, *chunks: Any) -> None:
            self._left = list(chunks)

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            if not self._left:
                raise StopAsyncIteration
            return self._left.pop(0)

    class Wrapper(ReplayChatCompletionClient):
        def create_stream(self, *_: Any, **__: Any) -> Any:
            usage = RequestUsage(prompt_tokens=3, completion_tokens=1)
            return Chunks("yes", CreateResult(finish_reason="stop", content="yes", usage=usage, cached=False))

    chunks = await streamed(RoutedChatCompletionClient({"wrapper": Wrapper([])}))
    assert text_of(chunks) == "yes"


async def test_thoughts_are_streamed_as_autogens_client_streams_them(vendors: Vendors) -> None:
    client = RoutedChatCompletionClient([anthropic(vendors, thinking=THINKING)])
    chunks = await streamed(client)
    assert text_of(chunks) == THOUGHT + GREETING
    assert (chunks[-1].content, chunks[-1].thought) == (GREETING, THOUGHT)


async def test_marked_thoughts_are_no_text_to_the_router(router_of: Routers, watcher: Watcher) -> None:
    class Thinking(ReplayChatCompletionClient):
        async def create_stream(self, *_: Any, **__: Any) -> Any:
            for chunk in ("<think>I", " wonder", "</think>", "Hi", "!"):
                yield chunk
            yield said

    usage = RequestUsage(prompt_tokens=3, completion_tokens=5)
    said = CreateResult(finish_reason="stop", content="Hi!", usage=usage, cached=False, thought="I wonder")
    thinking = {OPENAI: Thinking([]), ANTHROPIC: Thinking([])}
    chunks = await streamed(RoutedChatCompletionClient(thinking, router=router_of()))
    assert text_of(chunks) == "<think>I wonder</think>Hi!"
    view = watcher.outcomes[0].view
    assert (view.text, view.reasoning) == ("Hi!", "<think>I wonder</think>")


async def test_buffered_streams_are_checked_like_whole_answers(vendors: Vendors, weather: FunctionTool) -> None:
    config = {"execution": {"buffer_streams": True, "retries": 0}}
    client = RoutedChatCompletionClient([openai(vendors), anthropic(vendors)], OPENAI, config=config)
    vendors.fail(OPENAI, "misshapen")
    question = UserMessage(content="What is the weather in 'Paris'?", source="user")
    (result,) = await streamed(client, [question], tools=[weather])
    assert result.taskrouter["model"] == ANTHROPIC


@FIRST
async def test_a_reader_that_leaves_hangs_up(routed: Routed, vendors: Vendors, first: str) -> None:
    client = routed(incumbent=first)
    with vendors.holding(first) as gate:
        stream = client.create_stream([QUESTION])
        assert await anext(stream) == "Hello!"
        await stream.aclose()
        assert await asyncio.to_thread(gate.left.wait, 5)
    assert asked(vendors) == [first]
