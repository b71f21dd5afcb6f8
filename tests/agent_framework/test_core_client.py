"""Candidates that are called through the router's own backends, dressed up as chat clients."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agent_framework import Agent, Content, FunctionTool, Message
from pydantic import BaseModel
from tests.standins import Vendors
from tests.standins.brain import GREETING

from autogen_taskrouter.agent_framework import RoutedChatClient
from autogen_taskrouter.agent_framework._core_client import CoreClient, _request
from taskrouter.adapters import PoolModel
from taskrouter.config import ModelConfig
from taskrouter.outcome import ResponseView, ToolCall, Usage

from .conftest import CHAT, STORING, Clients, account, asked, said

WAYS = ["whole", "streamed"]


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.fixture
def client(clients: Clients, vendors: Vendors, kept: list[RoutedChatClient]) -> RoutedChatClient:
    """A routed client whose incumbent is a table, and whose other candidate is the framework's own."""
    able = {"tools": True, "json_schema": True}
    table = {"model": f"openai/{CHAT}", "base_url": vendors.openai_url, "backend": "openai", "capabilities": able}
    candidates = {"table": table, "storing": clients["storing"]}
    kept.append(RoutedChatClient(candidates, "table", max_retries=0))
    return kept[-1]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")


async def ask(client: RoutedChatClient, way: str, messages: list[Message], **more: Any) -> Any:
    if way == "whole":
        return await client.get_response(messages, **more)
    return await client.get_response(messages, stream=True, **more).get_final_response()


@pytest.mark.parametrize("way", WAYS)
async def test_it_answers(client: RoutedChatClient, vendors: Vendors, way: str) -> None:
    options = {
        "max_tokens": 30,
        "instructions": "Be brief.",
        "conversation_id": None,
        "allow_multiple_tool_calls": True,
    }
    answer = await ask(client, way, said("Hello"), options=options)
    assert answer.text == GREETING
    assert account(answer)["model"] == "table"
    assert (answer.finish_reason, answer.model) == ("stop", CHAT)
    assert answer.usage_details["output_token_count"] == 8
    body = vendors.received[0].body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert set(body) - {"stream", "stream_options"} == {"model", "messages", "max_tokens"}


@pytest.mark.parametrize("way", WAYS)
async def test_it_calls_tools(client: RoutedChatClient, vendors: Vendors, weather: FunctionTool, way: str) -> None:
    answer = await ask(client, way, said("What is the weather in Oslo?"), options={"tools": [weather]})
    assert answer.text.startswith("The tool says: sunny in")
    assert asked(vendors) == [CHAT, CHAT]
    assert [message["role"] for message in vendors.received[1].body["messages"]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("way", WAYS)
async def test_its_calls_can_be_answered_elsewhere(
    client: RoutedChatClient, vendors: Vendors, weather: FunctionTool, way: str
) -> None:
    agent = Agent(client, tools=[weather])
    first = await agent.run("What is the weather in Oslo?")
    messages = [*said("What is the weather in Oslo?"), *first.messages, *said("And now?")]
    for model in ("storing", "table"):
        assert (await ask(client, way, messages, options={"model": model})).text == GREETING
    assert asked(vendors) == [CHAT, CHAT, STORING, CHAT]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", ["error", "cut"])
async def test_its_failures_fall_back(client: RoutedChatClient, vendors: Vendors, way: str, fault: Any) -> None:
    vendors.fail(CHAT, fault)
    answer = await ask(client, way, said("Hello"))
    assert (answer.text, account(answer)["model"]) == (GREETING, "storing")
    assert asked(vendors) == [CHAT, STORING]


@pytest.mark.parametrize("way", WAYS)
async def test_it_has_values(client: RoutedChatClient, way: str) -> None:
    answer = await ask(client, way, said("Tell me of Oslo"), options={"response_format": City})
    assert isinstance(answer.value, City)
    assert account(answer)["model"] == "table"


def test_options_are_told_in_the_words_of_chat_completions(weather: FunctionTool) -> None:
    choice = {"mode": "required", "required_function_name": "get_weather"}
    options = {"tools": [weather], "tool_choice": choice, "allow_multiple_tool_calls": False, "seed": 1, "store": False}
    request = _request(options)
    assert [tool["function"]["name"] for tool in request.pop("tools")] == ["get_weather"]
    forced = {"type": "function", "function": {"name": "get_weather"}}
    assert request == {"tool_choice": forced, "parallel_tool_calls": False, "seed": 1}
    assert _request({"tools": [weather], "tool_choice": {"mode": "none"}})["tool_choice"] == "none"
    assert _request({"response_format": {"type": "json_object"}}) == {"response_format": {"type": "json_object"}}


class Scripted(PoolModel):
    """A model that answers what it is told to, in views."""

    def __init__(self, *views: ResponseView) -> None:
        super().__init__(ModelConfig(id="scripted", model="scripted"))
        self._views = views

    async def acomplete(self, messages: Any, request: Any) -> Any:
        return self._views[0]

    async def astream(self, messages: Any, request: Any) -> Any:
        for view in self._views:
            yield view

    def view(self, native: Any) -> ResponseView:
        assert isinstance(native, ResponseView)
        return native


async def test_thoughts_and_refusals_keep_their_marks() -> None:
    view = ResponseView(reasoning="hm", text="No.", refused=True)
    answer = await CoreClient(Scripted(view)).get_response(said("Hello"))
    thought, refusal = answer.messages[0].contents
    assert (thought.type, thought.text, refusal.text) == ("text_reasoning", "hm", "No.")
    assert refusal.additional_properties["core"] == {"model_output_kind": "refusal"}


async def test_fragments_of_parallel_calls_are_joined_and_usage_is_not_added_up() -> None:
    def piece(name: str, arguments: str, index: int | None, call_id: str | None = None) -> ResponseView:
        call = ToolCall(name=name, arguments=arguments, id=call_id, index=index)
        return ResponseView(tool_calls=(call,), usage=Usage(input_tokens=5))

    views = [piece("a", '{"x"', 0, "call_a"), piece("b", "{", 1, "call_b"), piece("", ": 1}", 0), piece("", "}", 1)]
    stream = CoreClient(Scripted(*views)).get_response(said("Hello"), stream=True)
    answer = await stream.get_final_response()
    calls = [content for content in answer.messages[0].contents if content.type == "function_call"]
    told = [(call.call_id, call.name, json.loads(str(call.arguments))) for call in calls]
    assert told == [("call_a", "a", {"x": 1}), ("call_b", "b", {})]
    assert answer.usage_details == {**(answer.usage_details or {}), "input_token_count": 5}


async def test_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    def piece(name: str, arguments: str) -> ResponseView:
        return ResponseView(tool_calls=(ToolCall(name=name, arguments=arguments),))

    views = [piece("a", '{"x": '), piece("", "1}"), piece("b", "{}")]
    stream = CoreClient(Scripted(*views)).get_response(said("Hello"), stream=True)
    contents = (await stream.get_final_response()).messages[0].contents
    assert [(call.name, json.loads(str(call.arguments))) for call in contents] == [("a", {"x": 1}), ("b", {})]
    assert all(call.call_id for call in contents)


async def test_pictures_and_files_go_to_the_backend() -> None:
    from autogen_taskrouter.agent_framework._messages import chat_messages

    picture = Content.from_uri("https://example.com/cat.png", media_type="image/png")
    paper = Content.from_data(b"%PDF", media_type="application/pdf")
    (shown,) = chat_messages([Message("user", ["What is this?", picture, paper])])
    assert [part["type"] for part in shown["content"]] == ["text", "image_url", "file"]
    assert shown["content"][1]["image_url"]["url"] == "https://example.com/cat.png"
