"""Candidates that are LiteLLM model strings."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_taskrouter import RoutedChatModel
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
