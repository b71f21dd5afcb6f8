"""Tokens: what was used, what a conversation would use, and what is left of a window."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from tests.autogen.models import ANTHROPIC, OPENAI, anthropic, info, openai
from tests.standins import Vendors
from tests.standins.files import PNG
from tests.watcher import Watcher

from autogen_taskrouter import RoutedChatCompletionClient
from taskrouter import Router
from taskrouter.errors import AllAttemptsFailedError, StreamBroken

from .conftest import QUESTION, Routed, Routers, streamed


def counts(usage: Any) -> tuple[int, int]:
    return usage.prompt_tokens, usage.completion_tokens


@pytest.mark.parametrize("name", [OPENAI, ANTHROPIC])
async def test_streams_count_what_whole_answers_count(routed: Routed, name: str) -> None:
    client = routed(incumbent=name)
    whole = (await client.create([QUESTION])).usage
    assert whole.prompt_tokens > 0
    assert whole.completion_tokens > 0
    assert counts((await streamed(client))[-1].usage) == counts(whole)
    assert counts(client.total_usage()) == counts(client.actual_usage())
    assert counts(client.total_usage()) == (2 * whole.prompt_tokens, 2 * whole.completion_tokens)


async def test_where_nobody_counts_tokens_are_estimated(routed: Routed, router_of: Routers, watcher: Watcher) -> None:
    client = routed(router=router_of())
    chunks = await streamed(client, include_usage=False)
    assert watcher.outcomes[0].usage.estimated
    assert chunks[-1].usage.completion_tokens > 0
    assert counts(chunks[-1].usage) == counts(client.total_usage())


async def test_attempts_that_failed_count_too(vendors: Vendors) -> None:
    def check(step: Any, answer: Any) -> bool:
        return False

    able = {"capabilities": {"tools": True}}
    router = Router([{"id": OPENAI, **able}, {"id": ANTHROPIC, **able}], OPENAI, validators={"never": check})
    client = RoutedChatCompletionClient([openai(vendors), anthropic(vendors)], router=router)
    with pytest.raises(AllAttemptsFailedError) as caught:
        await client.create([QUESTION])
    assert client.total_usage().prompt_tokens == sum(a.usage.input_tokens for a in caught.value.attempts if a.usage)
    assert client.total_usage().completion_tokens > 0


async def test_a_stream_that_breaks_counts_what_it_said(routed: Routed, vendors: Vendors) -> None:
    client = routed(incumbent=ANTHROPIC)
    vendors.fail(ANTHROPIC, "stops")
    with pytest.raises(StreamBroken):
        await streamed(client)
    assert client.total_usage().prompt_tokens > 0


def test_lengths_are_estimated_without_the_network(routed: Routed, weather: FunctionTool) -> None:
    client = routed()
    call = FunctionCall(id="1", name="get_weather", arguments='{"city": "Paris"}')
    result = FunctionExecutionResult(content="sunny " * 100, name="get_weather", call_id="1", is_error=False)
    conversation: list[LLMMessage] = [
        SystemMessage(content="Be brief. " * 40),
        UserMessage(content="word " * 400, source="user"),
        AssistantMessage(content=[call], source="agent"),
        FunctionExecutionResultMessage(content=[result]),
    ]
    length = client.count_tokens(conversation)
    assert length == pytest.approx(400 * 5 / 4 + 100 + 150, rel=0.1)
    assert client.count_tokens(conversation, tools=[weather]) > length
    assert client.count_tokens([]) == 0


def test_pictures_are_counted(routed: Routed) -> None:
    one = Image.from_base64(base64.b64encode(PNG).decode())
    client = routed()
    assert client.count_tokens([UserMessage(content=["a", one], source="user")]) > 500


def test_what_is_left_is_left_of_the_largest_window(vendors: Vendors) -> None:
    models = [openai(vendors, model="a", model_info=info()), openai(vendors, model="b", model_info=info())]
    windows = [{"id": "a", "context_tokens": 1000}, {"id": "b", "context_tokens": 5000}]
    client = RoutedChatCompletionClient(models, "a", config={"models": windows})
    asked = [UserMessage(content="word " * 400, source="user")]
    assert client.remaining_tokens(asked) == 5000 - client.count_tokens(asked)


def test_where_no_window_is_known_nothing_is_cut_off(vendors: Vendors) -> None:
    client = RoutedChatCompletionClient([openai(vendors, model="unheard-of", model_info=info())])
    assert client.remaining_tokens([QUESTION]) > 1_000_000
