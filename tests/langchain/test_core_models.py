"""Candidates that are LiteLLM model strings, or tables as in `[[models]]`."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent

from langchain_taskrouter import RoutedChatModel
from taskrouter import ConfigurationError
from taskrouter.simulator import RunningServer

from .conftest import FAST, PRICES, QUESTION

ANSWER = "12 * 12 = 144"


@pytest.fixture
def model(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> RoutedChatModel:
    monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    names = ("openai/first", "openai/second")
    config = {"models": [{"id": name, "capabilities": {"tools": True}, **PRICES} for name in names], "execution": FAST}
    return RoutedChatModel(names, incumbent=names[0], config=config)


async def test_a_string_is_a_model_in_all_four_ways(model: RoutedChatModel) -> None:
    streamed = list(model.stream(QUESTION))
    astreamed = [chunk async for chunk in model.astream(QUESTION)]
    assert "".join(chunk.text for chunk in streamed) == "".join(chunk.text for chunk in astreamed) == ANSWER
    for message in (model.invoke(QUESTION), await model.ainvoke(QUESTION)):
        assert message.text == ANSWER
        assert message.usage_metadata is not None
        assert message.response_metadata["taskrouter"]["cost_usd"] > 0
    assert streamed[-1].response_metadata["taskrouter"]["cost_usd"] > 0


def test_a_string_takes_tools(model: RoutedChatModel, weather: Any) -> None:
    bound: Any = model.bind_tools([weather], tool_choice="any")
    (call,) = bound.invoke("Use lookup: what is the weather in Oslo?").tool_calls
    assert call["name"] == "lookup"
    chunks = list(bound.stream("Use lookup: what is the weather in Oslo?"))
    whole = sum(chunks[1:], chunks[0])
    assert [c["name"] for c in whole.tool_calls] == ["lookup"]


def test_a_failing_string_falls_back(model: RoutedChatModel, server: RunningServer) -> None:
    server.script("first", "server_error", "server_error")
    assert model.invoke(QUESTION).response_metadata["taskrouter"]["model"] == "openai/second"
    assert [r.model for r in server.requests] == ["first", "second"]


def test_what_the_configuration_says_of_a_string_holds(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", "any")
    house = {"id": "house", "model": "first", "base_url": server.base_url, "api_key": "env:HOUSE_KEY", **PRICES}
    model = RoutedChatModel({"house": "openai/first"}, config={"models": [{**house, "params": {"temperature": 0}}]})
    assert model.invoke(QUESTION).text == ANSWER
    assert [request.model for request in server.requests] == ["first"]


async def test_a_table_is_a_candidate_called_through_the_backend_that_it_names(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, weather: Any
) -> None:
    monkeypatch.setenv("HOUSE_KEY", "any")
    table = {"model": "first", "base_url": server.base_url, "api_key": "env:HOUSE_KEY", **PRICES}
    model = RoutedChatModel({"house": {**table, "capabilities": {"tools": True}}})
    answers = [model.invoke(QUESTION), await model.ainvoke(QUESTION)]
    assert [answer.text for answer in answers] == [ANSWER, ANSWER]
    assert "".join(chunk.text for chunk in model.stream(QUESTION)) == ANSWER
    (call,) = model.bind_tools([weather]).invoke("Use lookup: what is the weather in Oslo?").tool_calls
    assert call["name"] == "lookup"
    assert "HOUSE_KEY" not in str(model._get_invocation_params())
    assert server.base_url not in repr(model)


def test_an_agent_can_work_over_strings(model: RoutedChatModel, weather: Any) -> None:
    agent: Any = create_agent(model, [weather])
    result = agent.invoke({"messages": [("user", "Use lookup: what is the weather in Oslo?")]})
    assert "sunny" in result["messages"][-1].text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "openai:gpt-4o",
            r"a string is a LiteLLM model string, such as 'openai/gpt-4o'.*init_chat_model\('openai:gpt-4o'\)",
        ),
        ({"model": "gpt-4o", "pricee": 1}, r"candidates\['x'\].*pricee"),
        ({}, r"candidates\['x'\]"),
    ],
)
def test_what_is_wrong_with_a_string_or_a_table_is_said(given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        RoutedChatModel({"x": given})
