"""A canary: what of agent-framework-core's private API `_delegate` and `RoutedChatClient` rest on."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agent_framework import (
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    FunctionTool,
    Message,
)
from agent_framework._middleware import ChatMiddlewarePipeline
from agent_framework.observability import ChatTelemetryLayer
from agent_framework_openai import OpenAIChatClient, OpenAIChatCompletionClient
from tests.standins import Vendors

from autogen_taskrouter.agent_framework import RoutedChatClient, _delegate

from .conftest import CHAT, Clients, asked, said

CLIENTS = [OpenAIChatClient, OpenAIChatCompletionClient]
FACTS = {"models": [{"id": "plain", "model": "plain", "capabilities": {"tools": False}}]}


def names(way: Any) -> list[str]:
    return list(inspect.signature(way).parameters)


def test_the_framework_has_what_we_call() -> None:
    assert names(BaseChatClient._inner_get_response) == ["self", "messages", "stream", "options", "kwargs"]
    assert names(BaseChatClient._finalize_response_updates) == ["self", "updates", "response_format"]
    assert names(ChatMiddlewarePipeline.execute) == ["self", "context", "final_handler"]
    assert {"messages", "stream", "options", "client_kwargs"} <= set(names(BaseChatClient.get_response))


def test_the_layers_lie_as_we_take_them_to() -> None:
    order = [FunctionInvocationLayer, ChatMiddlewareLayer, ChatTelemetryLayer, BaseChatClient]
    for cls in (RoutedChatClient, *CLIENTS):
        places = [cls.__mro__.index(layer) for layer in order]
        assert places == sorted(places)


@pytest.mark.parametrize("cls", CLIENTS)
def test_no_client_puts_more_between_its_layers_and_its_answer(cls: Any) -> None:
    """Of the classes beneath its layers, whoever has a `get_response` only hands on."""
    beneath = cls.__mro__[cls.__mro__.index(ChatTelemetryLayer) + 1 :]
    between = [base for base in beneath if "get_response" in vars(base) and base is not BaseChatClient]
    assert all("return super_get_response(" in inspect.getsource(base.get_response) for base in between)


def test_clients_keep_their_middleware_where_we_look(clients: Clients) -> None:
    for client in clients.values():
        assert isinstance(client, ChatMiddlewareLayer | FunctionInvocationLayer)
        assert _delegate.own_middleware(client) == ([], [])
    assert {"chat_middleware", "function_middleware"} <= set(vars(clients["chat"]))


class Plain(BaseChatClient[Any]):
    """A client of a user's own: no layers, and no stream but of one update."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> Any:
        self.got.append((messages, stream, options, kwargs))
        if stream:
            return self._build_response_stream(self._updates())
        return self._answer()

    async def _answer(self) -> ChatResponse[Any]:
        return ChatResponse(messages=[Message("assistant", ["plain"])])

    async def _updates(self) -> Any:
        yield ChatResponseUpdate(contents=[Content.from_text("plain")], role="assistant")


async def test_a_client_is_asked_below_its_layers() -> None:
    client = Plain()
    messages = said("Hello")
    whole = await _delegate.whole(client, messages, {"seed": 1}, {"extra": 2})
    updates = [update async for update in _delegate.stream(client, messages, {"seed": 1}, {"extra": 2})]
    assert whole.text == _delegate.finalized(client, updates, None).text == "plain"
    assert client.got == [(messages, stream, {"seed": 1}, {"extra": 2}) for stream in (False, True)]


async def test_a_client_of_a_users_own_is_a_candidate() -> None:
    client = RoutedChatClient({"plain": Plain()}, config=FACTS)
    whole = await client.get_response(said("Hello"))
    streamed = await client.get_response(said("Hello"), stream=True).get_final_response()
    assert whole.text == streamed.text == "plain"
    assert whole.model == streamed.model == "plain"


class Unhurried(Plain):
    """Gives its streams from a coroutine, and has no address, both as the framework allows."""

    async def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> Any:
        return self._build_response_stream(self._updates()) if stream else await self._answer()

    def service_url(self) -> Any:
        return None


async def test_a_client_may_give_its_streams_from_a_coroutine_and_have_no_address() -> None:
    client = RoutedChatClient({"plain": Unhurried()}, config=FACTS)
    whole = await client.get_response(said("Hello"))
    streamed = await client.get_response(said("Hello"), stream=True).get_final_response()
    assert whole.text == streamed.text == "plain"


class Counting(OpenAIChatCompletionClient):
    """A user's class that puts something round every call, such as a limiter or a cache."""

    calls = 0

    def get_response(self, messages: Any, **more: Any) -> Any:
        type(self).calls += 1
        return super().get_response(messages, **more)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_users_own_get_response_is_called_and_tools_run_once(
    vendors: Vendors, weather: FunctionTool, *, stream: bool
) -> None:
    given = Counting(model=CHAT, base_url=vendors.openai_url, api_key="any")
    client = RoutedChatClient({"chat": given})
    before = Counting.calls
    options: Any = {"tools": [weather]}
    question = said("What is the weather in Oslo?")
    if stream:
        answer = await client.get_response(question, stream=True, options=options).get_final_response()
    else:
        answer = await client.get_response(question, options=options)
    assert answer.text.startswith("The tool says: sunny")
    assert Counting.calls - before == 2
    assert asked(vendors) == [CHAT, CHAT]
    assert given.function_invocation_configuration["enabled"]


class Shelf(OpenAIChatCompletionClient):
    """A user's class whose streams do not say why they ended."""

    def _inner_get_response(self, *, messages: Any, options: Any, stream: bool = False, **more: Any) -> Any:
        async def updates() -> AsyncIterator[ChatResponseUpdate]:
            yield ChatResponseUpdate(contents=[Content.from_text("kept")], role="assistant")

        assert stream
        return self._build_response_stream(updates())


async def test_streams_of_a_users_own_need_not_say_why_they_ended(vendors: Vendors) -> None:
    given = Shelf(model=CHAT, base_url=vendors.openai_url, api_key="any")
    answer = await RoutedChatClient({"chat": given}).get_response(said("Hello"), stream=True).get_final_response()
    assert answer.text == "kept"


async def test_a_candidates_compaction_holds_for_its_own_calls() -> None:
    async def last_only(messages: list[Message]) -> bool:
        for message in messages[:-1]:
            message.additional_properties["_excluded"] = True
        return True

    plain = Plain()
    plain.compaction_strategy = last_only
    given = said("one", "two", "three")
    await RoutedChatClient({"plain": plain}, config=FACTS).get_response(given)
    ((messages, *_),) = plain.got
    assert [message.text for message in messages] == ["three"]
    assert [message.additional_properties for message in given] == [{}] * 3
