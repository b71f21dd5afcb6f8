"""AutoGen's own agents and teams over the routed client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult, Team
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import HandoffMessage, ModelClientStreamingChunkEvent, StructuredMessage
from autogen_agentchat.teams import MagenticOneGroupChat, RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_core import CancellationToken
from autogen_core.memory import ListMemory, MemoryContent
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from pydantic import BaseModel
from tests.autogen.models import ANTHROPIC, OPENAI, openai
from tests.standins import Vendors
from tests.watcher import Watcher

from autogen_taskrouter import RoutedChatCompletionClient, RoutedUsage

from .conftest import GREETING, Routed, Routers, Traced, asked, break_weather, get_weather

ASK = "What is the weather in 'Paris'?"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
FIRST = pytest.mark.parametrize("first", [OPENAI, ANTHROPIC])


class City(BaseModel):
    """A city."""

    city: str


@pytest.fixture
def global_spans(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> Traced:
    """Let AutoGen's spans go where ours go."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", traced.provider)
    return traced


def last_text(result: TaskResult) -> str:
    return str(getattr(result.messages[-1], "content", ""))


@FIRST
@STREAMED
async def test_an_agent_runs_its_tools_over_a_dead_first_model(
    routed: Routed, vendors: Vendors, first: str, *, stream: bool
) -> None:
    vendors.fail(first, "unavailable")
    agent = AssistantAgent(
        "helper",
        routed(incumbent=first),
        tools=[get_weather],
        model_client_stream=stream,
        reflect_on_tool_use=True,
        system_message="Be brief.",
    )
    result = await agent.run(task=ASK)
    assert "sunny" in last_text(result)
    second = ANTHROPIC if first == OPENAI else OPENAI
    assert asked(vendors) == [first, second, first, second]  # a call of the tool, and what to say of its result
    assert [request.status for request in vendors.received] == [503, 200, 503, 200]
    used = [message.models_usage for message in result.messages if message.models_usage]
    assert all(usage.completion_tokens > 0 for usage in used)


async def test_an_agent_shows_what_is_streamed(routed: Routed) -> None:
    agent = AssistantAgent("helper", routed(), model_client_stream=True)
    shown = [
        event.content
        async for event in agent.run_stream(task="Hello")
        if isinstance(event, ModelClientStreamingChunkEvent)
    ]
    assert "".join(shown) == GREETING


@STREAMED
async def test_an_agents_message_has_the_account_of_its_answer(routed: Routed, *, stream: bool) -> None:
    client = routed()
    message = (await AssistantAgent("helper", client, model_client_stream=stream).run(task="Hello")).messages[-1]
    usage = message.models_usage
    assert isinstance(usage, RoutedUsage)
    assert usage.taskrouter["model"] == OPENAI
    client.router.feedback(usage.taskrouter["decision_id"], 1.0, source="reviewer")
    assert "decision_id" not in message.model_dump_json() + str(message.model_dump()) + repr(message)


async def test_an_agents_answer_has_the_shape_it_is_to_have(routed: Routed) -> None:
    agent = AssistantAgent("helper", routed(incumbent=ANTHROPIC), output_content_type=City, model_client_stream=True)
    result = await agent.run(task="Which 'city' is it? 'Paris'")
    message = result.messages[-1]
    assert isinstance(message, StructuredMessage)
    assert isinstance(message.content, City)


async def test_the_step_that_called_a_tool_in_vain_is_blamed(routed: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    client, told = routed(), []
    monkeypatch.setattr(type(client.router), "feedback", lambda *said, **more: told.append((said[1:], more)))
    agent = AssistantAgent("helper", client, tools=[break_weather], reflect_on_tool_use=True)
    await agent.run(task=ASK)
    assert [(score, more) for ((_, score), more) in told] == [(0.0, {"source": "tool_error"})]


async def test_an_agent_with_a_memory_is_answered_by_a_model_that_takes_it(routed: Routed, vendors: Vendors) -> None:
    memory = ListMemory()
    await memory.add(MemoryContent(content="The user likes metric units.", mime_type="text/plain"))
    agent = AssistantAgent("helper", routed(incumbent=ANTHROPIC), memory=[memory])
    assert last_text(await agent.run(task="Hello")) == GREETING
    assert asked(vendors) == [OPENAI]  # memories are a second system message, which Anthropic's client refuses


@FIRST
async def test_a_team_that_was_saved_goes_on_with_another_model(routed: Routed, vendors: Vendors, first: str) -> None:
    def team(incumbent: str) -> Swarm:
        client = routed(incumbent=incumbent)
        agents: Any = [
            AssistantAgent("alice", client, handoffs=["bob"]),
            AssistantAgent("bob", client, handoffs=["alice"]),
        ]
        return Swarm(agents, termination_condition=MaxMessageTermination(4))

    begun = team(first)
    result = await begun.run(task="Hand this over to 'bob'")
    assert any(isinstance(message, HandoffMessage) for message in result.messages)
    state = json.loads(json.dumps(await begun.save_state()))
    again = team(ANTHROPIC if first == OPENAI else OPENAI)
    await again.load_state(state)
    assert last_text(await again.run(task="And now?"))
    assert len(set(asked(vendors))) == 2
    assert all(request.status == 200 for request in vendors.received)


async def test_an_agent_is_cancelled_with_its_token(routed: Routed, vendors: Vendors) -> None:
    token = CancellationToken()
    token.cancel()
    agent = AssistantAgent("helper", routed())
    with pytest.raises(asyncio.CancelledError):
        await agent.run(task="Hello", cancellation_token=token)
    assert not vendors.received


async def test_agents_of_a_team_are_told_apart_without_any_tracing(
    routed: Routed, router_of: Routers, watcher: Watcher
) -> None:
    client = routed(router=router_of())
    team = RoundRobinGroupChat(
        [AssistantAgent(name, client) for name in ("planner", "critic")], termination_condition=MaxMessageTermination(3)
    )
    await team.run(task="Hello")
    contexts = [outcome.decision.context for outcome in watcher.outcomes]
    assert [context.agent for context in contexts] == ["planner", "critic"]
    assert len({context.session_id for context in contexts}) == 1
    assert contexts[0].session_id is not None


async def test_our_spans_lie_beneath_the_agents(
    routed: Routed, router_of: Routers, vendors: Vendors, watcher: Watcher, global_spans: Traced
) -> None:
    vendors.fail(OPENAI, "unavailable")
    await AssistantAgent("helper", routed(router=router_of())).run(task="Hello")
    spans = global_spans.exporter.get_finished_spans()
    assert [lineage(span, spans) for span in spans if span.name.startswith("chat ")] == [
        ["chat", "route", "invoke_agent"],
        ["chat", "route", "invoke_agent"],
    ]
    context = watcher.outcomes[0].decision.context
    assert context.agent == "helper"
    (route,) = (span for span in spans if span.name.startswith("route"))
    assert route.context is not None
    assert context.run_id == trace.format_trace_id(route.context.trace_id)


@STREAMED
async def test_a_selector_picks_a_speaker(routed: Routed, vendors: Vendors, *, stream: bool) -> None:
    client = routed()
    agents: Any = [AssistantAgent(name, client, description=f"the {name}") for name in ("planner", "critic")]
    team = SelectorGroupChat(
        agents,
        client,
        termination_condition=MaxMessageTermination(2),
        selector_prompt="Say 'planner' of {roles} {participants} {history}",
        model_client_streaming=stream,
        max_selector_attempts=1,
    )
    result = await team.run(task="Hello")
    assert len(result.messages) == 2
    assert all(request.status == 200 for request in vendors.received)


@FIRST
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")  # AutoGen logs what the SDK has parsed
async def test_magentic_one_plans_with_it(routed: Routed, vendors: Vendors, first: str) -> None:
    client = routed(incumbent=first)
    agents: Any = [AssistantAgent("worker", client, description="does all")]
    team = MagenticOneGroupChat(agents, client, max_turns=1, max_stalls=1)
    result = await team.run(task="Hello")
    assert result.messages
    # Its last question begins with what it said itself, which Anthropic refuses: the other model gives the answer.
    assert vendors.received[-1].status == 200
    assert last_text(result)


async def test_a_team_is_loaded_from_json(vendors: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    client = RoutedChatCompletionClient({"a": openai(vendors), "b": openai(vendors, model="gpt-4o")}, "a")
    team = RoundRobinGroupChat([AssistantAgent("helper", client)], termination_condition=MaxMessageTermination(2))
    written = json.loads(team.dump_component().model_dump_json())
    again = RoundRobinGroupChat.load_component(written)
    assert isinstance(again, Team)
    assert last_text(await again.run(task="Hello")) == GREETING
    assert asked(vendors) == [OPENAI]


def lineage(span: ReadableSpan, spans: Any) -> list[str]:
    """Return what a span and those above it are."""
    by_id = {one.context.span_id: one for one in spans}
    names = []
    at: ReadableSpan | None = span
    while at is not None:
        names.append(at.name.split()[0])
        at = by_id.get(at.parent.span_id) if at.parent else None
    return names
