"""Agents with a routed client: tools, sessions, identity, runs, budgets, credit and middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agent_framework import (
    Agent,
    AgentSession,
    ChatContext,
    Content,
    FunctionInvocationContext,
    FunctionTool,
    Message,
    chat_middleware,
    function_middleware,
    tool,
)
from tests.standins import Vendors
from tests.watcher import Watcher

from autogen_taskrouter.agent_framework import RoutedChatClient
from taskrouter import BudgetExceededError

from .conftest import CHAT, STORING, Routed, account, asked

QUESTION = "What is the weather in Oslo?"
WAYS = ["whole", "streamed"]


async def run(agent: Any, way: str, question: str = QUESTION, **more: Any) -> Any:
    if way == "whole":
        return await agent.run(question, **more)
    return await agent.run(question, stream=True, **more).get_final_response()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_an_agent_runs_its_tools_once(
    routed: Routed, vendors: Vendors, watcher: Watcher, way: str, incumbent: str
) -> None:
    ran: list[str] = []

    @tool
    def get_weather(city: str) -> str:
        """Look up the weather."""
        ran.append(city)
        return "sunny"

    answer = await run(Agent(routed(incumbent), name="planner", tools=[get_weather]), way)
    assert answer.text == "The tool says: sunny"
    assert len(ran) == 1
    assert len(asked(vendors)) == len(watcher.outcomes) == 2
    assert account(answer)["decision_id"] == watcher.outcomes[-1].decision_id


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_an_agent_survives_a_dead_incumbent(
    routed: Routed, vendors: Vendors, weather: FunctionTool, way: str, incumbent: str
) -> None:
    dead, alive = (CHAT, STORING) if incumbent == "chat" else (STORING, CHAT)
    vendors.fail(dead, "unavailable")
    answer = await run(Agent(routed(incumbent), tools=[weather]), way)
    assert answer.text.startswith("The tool says: sunny in")
    assert asked(vendors) == [dead, alive, dead, alive]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_call_of_one_is_answered_on_the_other(
    routed: Routed, vendors: Vendors, weather: FunctionTool, way: str, incumbent: str
) -> None:
    first, second = (CHAT, STORING) if incumbent == "chat" else (STORING, CHAT)

    @function_middleware
    async def failing(context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        await call_next()
        vendors.fail(first, "error")

    answer = await run(Agent(routed(incumbent), tools=[weather], middleware=[failing]), way)
    assert answer.text.startswith("The tool says: sunny in")
    assert asked(vendors) == [first, first, second]


@pytest.mark.parametrize("way", WAYS)
async def test_a_tool_call_that_breaks_its_schema_is_never_run(
    routed: Routed, vendors: Vendors, watcher: Watcher, way: str
) -> None:
    ran: list[int] = []

    @tool
    def get_weather(days: int) -> str:
        """Look up the weather."""
        ran.append(days)
        return "sunny"

    vendors.fail(CHAT, "misshapen")
    config = {"execution": {"retries": 0, "buffer_streams": True}}
    answer = await run(Agent(routed(config=config), tools=[get_weather]), way)
    assert answer.text == "The tool says: sunny"
    assert all(isinstance(days, int) for days in ran)
    assert [attempt.error_type for attempt in watcher.attempts][:2] == ["bad_answer", None]


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_goes_on_with_another_candidate(
    routed: Routed, vendors: Vendors, weather: FunctionTool, watcher: Watcher, way: str
) -> None:
    agent = Agent(routed("storing"), tools=[weather])
    session = AgentSession(session_id="conversation")
    await run(agent, way, session=session)
    assert session.service_session_id is None
    await run(agent, way, "And thanks", session=session, options={"model": "chat"})
    await run(agent, way, "Thanks again", session=session)
    assert asked(vendors) == [STORING, STORING, CHAT, STORING]
    roles = [message["role"] for message in vendors.received[2].body["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert {decision.context.session_id for decision in watcher.decisions} == {"conversation"}


# --- which step it is -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("way", WAYS)
async def test_the_agents_span_names_the_agent_and_its_run(
    routed: Routed, watcher: Watcher, weather: FunctionTool, way: str
) -> None:
    agent = Agent(routed(), name="planner", tools=[weather])
    for _ in range(2):
        await run(agent, way)
    contexts = [decision.context for decision in watcher.decisions]
    assert [context.agent for context in contexts] == ["planner"] * 4
    assert contexts[0].run_id == contexts[1].run_id != contexts[2].run_id == contexts[3].run_id


@pytest.mark.usefixtures("traced")
async def test_an_agent_without_a_name_is_not_called_by_its_random_id(routed: Routed, watcher: Watcher) -> None:
    await Agent(routed()).run("Hello")
    assert watcher.decisions[0].context.agent is None


@pytest.mark.usefixtures("traced")
async def test_agents_beside_one_another_keep_their_names(routed: Routed, watcher: Watcher) -> None:
    client = routed()
    agents = [Agent(client, name=f"agent-{number}") for number in range(6)]
    await asyncio.gather(*(run(agent, way, "Hello") for agent in agents for way in WAYS))
    names = sorted(str(decision.context.agent) for decision in watcher.decisions)
    assert names == sorted([agent.name for agent in agents if agent.name] * 2)


@pytest.mark.usefixtures("traced")
async def test_what_is_declared_comes_before_what_the_span_says(routed: Routed, watcher: Watcher) -> None:
    agent = Agent(routed().for_agent("critic", run_id="mine"), name="planner")
    await agent.run("Hello")
    await agent.run("Hello", client_kwargs={"taskrouter": {"agent": "judge"}})
    contexts = [decision.context for decision in watcher.decisions]
    assert [(context.agent, context.run_id) for context in contexts] == [("critic", "mine"), ("judge", "mine")]


@pytest.mark.parametrize("way", WAYS)
async def test_without_tracing_an_agent_of_the_client_has_its_name(
    routed: Routed, watcher: Watcher, weather: FunctionTool, way: str
) -> None:
    agent = routed().as_agent(name="planner", tools=[weather])
    await run(agent, way)
    await run(agent, way, "Hello")
    contexts = [decision.context for decision in watcher.decisions]
    assert [context.agent for context in contexts] == ["planner"] * 3
    assert contexts[0].run_id == contexts[1].run_id != contexts[2].run_id


def test_a_view_keeps_the_name_it_has(routed: Routed) -> None:
    view = routed().for_agent("critic")
    assert view.as_agent(name="planner").client is view
    assert routed().as_agent().name is None


async def test_a_rule_decides_by_the_agents_name(routed: Routed) -> None:
    rules = [{"name": "critics", "when": {"agent": "critic"}, "use": ["storing"]}]
    client = routed(config={"rules": rules})
    answers = [await client.as_agent(name=name).run("Hello") for name in ("planner", "critic")]
    assert [account(answer)["model"] for answer in answers] == ["chat", "storing"]


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_a_run_has_its_budget(routed: Routed, vendors: Vendors, weather: FunctionTool, way: str) -> None:
    agent = Agent(routed(config={"budget": {"run": {"steps": 1}}}), tools=[weather])
    with pytest.raises(BudgetExceededError):
        await run(agent, way)
    assert asked(vendors) == [CHAT]
    assert (await run(agent, way, "Hello")).text


async def test_a_budget_of_a_block_holds_through_the_loop(
    routed: Routed, vendors: Vendors, weather: FunctionTool
) -> None:
    client = routed()
    with client.router.budget(steps=1), pytest.raises(BudgetExceededError):
        await Agent(client, tools=[weather]).run(QUESTION)
    assert asked(vendors) == [CHAT]


class Marks:
    """Keeps the feedback that a router is given."""

    def __init__(self, client: RoutedChatClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: list[tuple[str, float, str]] = []
        monkeypatch.setattr(client.router, "feedback", self.note)

    def note(self, decision_id: str, score: float, *, source: str) -> None:
        self.given.append((decision_id, score, source))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("credit", [True, False])
async def test_a_tool_that_fails_counts_against_the_step_that_called_it(
    routed: Routed, watcher: Watcher, monkeypatch: pytest.MonkeyPatch, way: str, *, credit: bool
) -> None:
    @tool
    def get_weather(city: str) -> str:
        """Look up the weather."""
        raise ValueError(city)

    client = routed(credit=credit)
    marks = Marks(client, monkeypatch)
    await run(Agent(client, tools=[get_weather]), way)
    expected = [(watcher.outcomes[0].decision_id, 0.0, "tool_error")] if credit else []
    assert marks.given == expected


@pytest.mark.parametrize(("exception", "counts"), [("ValueError", True), ("FunctionInvocationLimit", False)])
async def test_a_tool_that_the_framework_has_not_run_counts_against_nobody(
    routed: Routed, weather: FunctionTool, monkeypatch: pytest.MonkeyPatch, exception: str, *, counts: bool
) -> None:
    client = routed(function_invocation_configuration={"enabled": False})
    marks = Marks(client, monkeypatch)
    question = Message("user", [QUESTION])
    answer = await client.get_response([question], options={"tools": [weather]})
    (call,) = answer.messages[0].contents
    failed = Content.from_function_result(str(call.call_id), result="Error", exception=exception)
    await client.get_response([question, *answer.messages, Message("tool", [failed])], options={"tools": [weather]})
    assert len(marks.given) == counts


# --- middleware -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_middleware_of_the_agent_and_of_the_client_sees_one_call_per_step(
    routed: Routed, vendors: Vendors, weather: FunctionTool, way: str
) -> None:
    seen: list[str] = []

    @chat_middleware
    async def of_chats(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        seen.append(f"chat {len(context.messages)}")
        await call_next()

    @function_middleware
    async def of_tools(context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        seen.append(context.function.name)
        await call_next()

    vendors.fail(CHAT, "error")
    agent = Agent(routed(middleware=[of_chats]), tools=[weather], middleware=[of_tools])
    await run(agent, way)
    assert seen == ["chat 1", "get_weather", "chat 3"]


@pytest.mark.parametrize("way", WAYS)
async def test_middleware_may_pin_a_call(routed: Routed, way: str) -> None:
    @chat_middleware
    async def pinning(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        context.options = {**(context.options or {}), "model": "storing"}
        await call_next()

    answer = await run(Agent(routed(middleware=[pinning])), way, "Hello")
    assert account(answer)["model"] == "storing"
