"""Streams: what is handed on, what is held, what happens when they break, and what the framework makes of them."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from agent_framework import ChatContext, ChatResponse, ChatResponseUpdate, Content, Message, ResponseStream
from agent_framework.exceptions import ChatClientException
from pydantic import BaseModel
from tests.standins import Vendors
from tests.standins.brain import GREETING
from tests.watcher import Watcher

from autogen_taskrouter.agent_framework import RoutedChatClient
from taskrouter import ConfigurationError
from taskrouter.errors import AllAttemptsFailedError, StreamBroken

from .conftest import CHAT, STORING, Clients, Routed, account, asked, said

BEFORE = ["error", "unavailable", "limited", "cut", "empty", "silent"]
"""Faults that come before the first word."""
AFTER = ["broken", "stops"]
"""Faults that come after it."""
OF = {"chat": CHAT, "storing": STORING}
OTHER = {"chat": "storing", "storing": "chat"}


async def read(client: RoutedChatClient, *texts: str, **more: Any) -> tuple[list[ChatResponseUpdate], Any]:
    stream = client.get_response(said(*(texts or ("Hello",))), stream=True, **more)
    updates = [update async for update in stream]
    return updates, await stream.get_final_response()


def shown(updates: list[ChatResponseUpdate]) -> str:
    """Return what was new: the Responses API says every part once more as a whole."""
    parts = (content for update in updates for content in update.contents if content.type == "text")
    return "".join(part.text or "" for part in parts if getattr(part, "merge_mode", None) != "replace")


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_the_account_is_on_exactly_one_update_and_on_the_response(
    routed: Routed, watcher: Watcher, incumbent: str
) -> None:
    updates, answer = await read(routed(incumbent))
    assert shown(updates) == answer.text == GREETING
    told = [update for update in updates if "taskrouter" in (update.additional_properties or {})]
    assert told == [updates[-1]]
    assert account(updates[-1]) == account(answer)
    assert account(answer)["decision_id"] == watcher.outcomes[0].decision_id
    assert account(answer)["cost_usd"] == watcher.outcomes[0].cost_usd
    assert (answer.finish_reason, answer.model) == ("stop", OF[incumbent])
    assert len(answer.messages) == 1
    assert answer.messages[0].additional_properties == {}
    assert answer.usage_details["output_token_count"] == watcher.outcomes[0].usage.output_tokens == 8


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_what_the_engine_read_is_what_was_said(routed: Routed, watcher: Watcher, incumbent: str) -> None:
    await read(routed(incumbent))
    assert watcher.outcomes[0].view.text == GREETING


@pytest.mark.parametrize("fault", BEFORE)
@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_stream_that_fails_before_its_first_word_falls_back(
    routed: Routed, vendors: Vendors, incumbent: str, fault: Any
) -> None:
    vendors.fail(OF[incumbent], fault)
    updates, answer = await read(routed(incumbent))
    assert shown(updates) == answer.text == GREETING
    assert account(answer)["model"] == OTHER[incumbent]
    assert (account(answer)["status"], account(answer)["attempts"]) == ("fallback", 2)
    assert asked(vendors) == [OF[incumbent], OF[OTHER[incumbent]]]


@pytest.mark.parametrize("fault", AFTER)
@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_stream_that_breaks_later_is_never_continued_by_another_model(
    routed: Routed, vendors: Vendors, incumbent: str, fault: Any
) -> None:
    vendors.fail(OF[incumbent], fault)
    stream = routed(incumbent).get_response(said("Hello"), stream=True)
    with pytest.raises(ChatClientException) as caught:
        await stream.get_final_response()
    broken = caught.value.__cause__
    assert type(caught.value) is ChatClientException
    assert isinstance(broken, StreamBroken)
    assert broken.partial.text
    assert broken.partial.text == shown([*stream.updates])
    assert GREETING.startswith(broken.partial.text)
    assert asked(vendors) == [OF[incumbent]]


async def test_when_all_streams_fail_the_error_has_every_attempt(routed: Routed, vendors: Vendors) -> None:
    vendors.fail(CHAT, "cut")
    vendors.fail(STORING, "unavailable")
    with pytest.raises(ChatClientException) as caught:
        await read(routed())
    assert isinstance(caught.value.__cause__, AllAttemptsFailedError)
    assert len(caught.value.__cause__.attempts) == 2


async def test_the_final_response_can_be_had_without_reading(routed: Routed) -> None:
    answer = await routed().get_response(said("Hello"), stream=True).get_final_response()
    assert (answer.text, account(answer)["model"]) == (GREETING, "chat")


async def test_nothing_is_sent_before_the_first_update_is_asked_for(routed: Routed, vendors: Vendors) -> None:
    stream = routed().get_response(said("Hello"), stream=True)
    assert asked(vendors) == []
    await anext(stream)
    assert asked(vendors) == [CHAT]
    await stream.close()


async def test_an_error_of_ours_comes_with_the_first_update(routed: Routed) -> None:
    stream = routed().get_response(said("Hello"), stream=True, options={"model": "gpt-9"})
    with pytest.raises(ConfigurationError, match="is no candidate"):
        await anext(stream)


async def test_the_frameworks_hooks_see_the_stream(routed: Routed) -> None:
    ended: list[str] = []
    stream = routed().get_response(said("Hello"), stream=True)
    stream.with_update_transform(_shouting).with_cleanup_hook(lambda: ended.append("ended"))
    stream.with_result_transform(lambda answer: ended.append(answer.text))
    texts = [update.text async for update in stream]
    assert "".join(texts) == GREETING.upper()
    assert ended == ["ended", GREETING.upper()]


def _shouting(update: ChatResponseUpdate) -> ChatResponseUpdate:
    for content in update.contents:
        if content.type == "text" and content.text:
            content.text = content.text.upper()
    return update


async def test_chat_middleware_of_a_candidate_sees_its_stream(routed: Routed, clients: Clients) -> None:
    async def shouting(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        context.stream_transform_hooks.append(_shouting)
        await call_next()

    clients["chat"].chat_middleware = [shouting]  # type: ignore[attr-defined] # what its `middleware` argument makes
    _, answer = await read(routed())
    assert answer.text == GREETING.upper()


async def test_a_middleware_that_leaves_no_stream_is_a_failed_attempt(routed: Routed, clients: Clients) -> None:
    async def swallowing(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        """Leave out the call, and what it would have given."""

    clients["chat"].chat_middleware = [swallowing]  # type: ignore[attr-defined] # as above
    _, streamed = await read(routed())
    whole = await routed().get_response(said("Hello"))
    assert account(streamed)["model"] == account(whole)["model"] == "storing"


async def test_a_stream_of_a_middlewares_own_need_not_say_why_it_ended(clients: Clients) -> None:
    async def updates() -> AsyncIterator[ChatResponseUpdate]:
        yield ChatResponseUpdate(contents=[Content.from_text("from the shelf")], role="assistant")

    async def answering(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        context.result = ResponseStream(updates(), finalizer=ChatResponse.from_updates)

    clients["chat"].chat_middleware = [answering]  # type: ignore[attr-defined] # as above
    client = RoutedChatClient({"chat": clients["chat"]})
    _, answer = await read(client)
    assert (answer.text, answer.finish_reason) == ("from the shelf", "stop")


async def test_a_stream_that_is_cut_is_broken_beneath_a_middleware_too(clients: Clients, vendors: Vendors) -> None:
    async def passing(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        await call_next()

    clients["chat"].chat_middleware = [passing]  # type: ignore[attr-defined] # as above
    vendors.fail(CHAT, "stops")
    with pytest.raises(ChatClientException) as raised:
        await read(RoutedChatClient({"chat": clients["chat"]}))
    assert isinstance(raised.value.__cause__, StreamBroken)


async def test_a_candidates_middleware_is_shown_the_whole_of_its_stream(routed: Routed, clients: Clients) -> None:
    seen: list[str] = []

    async def watching(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        context.stream_result_hooks.append(lambda response: seen.append(response.text))
        await call_next()

    clients["chat"].chat_middleware = [watching]  # type: ignore[attr-defined] # as above
    await read(routed())
    assert seen == [GREETING]


async def test_the_client_that_answered_puts_its_updates_together(
    routed: Routed, clients: Clients, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finalized(updates: Any, *, response_format: Any = None) -> ChatResponse[Any]:
        answer: ChatResponse[Any] = ChatResponse.from_updates(updates, output_format_type=response_format)
        answer.messages.append(Message("assistant", ["by its own client"]))
        return answer

    client = routed()
    monkeypatch.setattr(client._pool["storing"].client, "_finalize_response_updates", finalized)
    inner = client._inner_get_response(messages=said("Hello"), stream=True, options={})
    assert len((await inner.get_final_response()).messages) == 1  # type: ignore[union-attr] # of a stream
    vendors.fail(CHAT, "error")
    inner = client._inner_get_response(messages=said("Hello"), stream=True, options={})
    assert (await inner.get_final_response()).messages[-1].text == "by its own client"  # type: ignore[union-attr]


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_streamed_value_is_there_whoever_answered(routed: Routed, incumbent: str) -> None:
    options: Any = {"response_format": City}
    _, answer = await read(routed(incumbent), "Tell me of Oslo", options=options)
    assert isinstance(answer.value, City)


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_buffered_stream_is_checked_like_a_whole_answer(
    routed: Routed, vendors: Vendors, incumbent: str
) -> None:
    vendors.fail(OF[incumbent], "misshapen")
    config = {"execution": {"retries": 0, "buffer_streams": True}}
    options: Any = {"response_format": City}
    _, answer = await read(routed(incumbent, config), "Tell me of Oslo", options=options)
    assert account(answer)["model"] == OTHER[incumbent]
    assert isinstance(answer.value, City)


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_buffered_stream_that_is_right_is_handed_on(
    routed: Routed, weather: Any, incumbent: str, watcher: Watcher
) -> None:
    config = {"execution": {"retries": 0, "buffer_streams": True}}
    _, answer = await read(routed(incumbent, config), "The weather in Oslo?", options={"tools": [weather]})
    assert answer.text.startswith("The tool says: sunny")
    assert [attempt.status for attempt in watcher.attempts] == ["ok", "ok"]
    (call,) = watcher.outcomes[0].view.tool_calls
    assert (call.name, call.arguments[:9]) == ("get_weather", '{"city": ')


async def test_messages_of_the_caller_stay_as_they_are(routed: Routed, vendors: Vendors) -> None:
    messages = said("Hello")
    before = copy.deepcopy([message.to_dict() for message in messages])
    vendors.fail(CHAT, "error")
    await routed().get_response(messages, stream=True).get_final_response()
    assert [message.to_dict() for message in messages] == before
