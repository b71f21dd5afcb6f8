"""Tools that failed, as feedback on the step that called them."""

from __future__ import annotations

from typing import Any

import pytest
from autogen_core.models import AssistantMessage, FunctionExecutionResult, FunctionExecutionResultMessage, UserMessage
from autogen_core.tools import FunctionTool
from tests.autogen.models import ANTHROPIC, OPENAI, anthropic, openai
from tests.standins import Vendors

from autogen_taskrouter import RoutedChatCompletionClient

from .conftest import Routed

ASK = UserMessage(content="What is the weather in 'Paris'?", source="user")


@pytest.fixture
def blamed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, str]]:
    """What the router is told."""
    from taskrouter import Router

    told: list[tuple[str, float, str]] = []

    def keep(_: Router, decision_id: str, score: float, *, source: str = "user") -> None:
        told.append((decision_id, score, source))

    monkeypatch.setattr(Router, "feedback", keep)
    return told


async def after_a_call(client: RoutedChatCompletionClient, weather: FunctionTool, *, is_error: bool) -> tuple[Any, Any]:
    """Return the answer with a call, and the conversation that its result ends."""
    called = await client.create([ASK], tools=[weather])
    assert isinstance(called.content, list)
    result = FunctionExecutionResult(
        content="no weather", name="get_weather", call_id=called.content[0].id, is_error=is_error
    )
    said = AssistantMessage(content=called.content, source="agent")
    return called, [ASK, said, FunctionExecutionResultMessage(content=[result])]


async def test_a_tool_that_fails_counts_once_against_the_step_that_called_it(
    routed: Routed, weather: FunctionTool, blamed: list[Any]
) -> None:
    client = routed()
    called, history = await after_a_call(client, weather, is_error=True)
    for asked in (client, client.for_agent("other"), routed(router=client.router)):
        await asked.create(history, tools=[weather])
    assert blamed == [(called.taskrouter["decision_id"], 0.0, "tool_error")]


async def test_a_tool_that_works_counts_for_nothing(routed: Routed, weather: FunctionTool, blamed: list[Any]) -> None:
    client = routed()
    _, history = await after_a_call(client, weather, is_error=False)
    await client.create(history, tools=[weather])
    assert blamed == []


async def test_an_older_failure_is_known_already(routed: Routed, weather: FunctionTool, blamed: list[Any]) -> None:
    client = routed()
    _, history = await after_a_call(client, weather, is_error=True)
    await client.create([*history, UserMessage(content="Go on", source="user")], tools=[weather])
    assert blamed == []


async def test_credit_can_be_switched_off(routed: Routed, weather: FunctionTool, blamed: list[Any]) -> None:
    client = routed(credit=False)
    _, history = await after_a_call(client, weather, is_error=True)
    await client.create(history, tools=[weather])
    assert blamed == []


async def test_feedback_is_stored(vendors: Vendors, weather: FunctionTool) -> None:
    client = RoutedChatCompletionClient([openai(vendors), anthropic(vendors)], OPENAI)
    called, history = await after_a_call(client, weather, is_error=True)
    assert called.taskrouter["model"] in (OPENAI, ANTHROPIC)
    await client.create(history, tools=[weather])
    client.router.feedback(called.taskrouter["decision_id"], 1.0, source="reviewer")
