"""`RoutingMiddleware` in real agents: every way to run one, failing models, streams that break, budgets, state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core import exceptions as lc
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from tests.watcher import Watcher

from langchain_taskrouter import RoutedChatModel, RoutingMiddleware
from taskrouter import AllAttemptsFailedError, BudgetExceededError, ConfigurationError, NoEligibleModelError, Router
from taskrouter.errors import StreamBroken
from taskrouter.simulator import RunningServer

from .conftest import FAST, PRICES, ModelOf, Runs

Agent = Callable[..., Any]
ASKED: Any = {"messages": [("user", "What is the weather in Oslo?")]}
TOLD = "The weather in Oslo is sunny, 21 degrees."
POOL = [{"id": name, **PRICES} for name in ("first", "second")]
WAYS = ["invoke", "ainvoke", "stream", "astream", "events"]
STREAMED = ["stream", "astream", "events"]
DEAD: list[Any] = ["server_error"] * 10


@pytest.fixture
def middleware(model_of: ModelOf) -> Agent:
    """Make the middleware over the simulator's two models; the first one is the incumbent."""

    def make(**fields: Any) -> RoutingMiddleware:
        given = {
            "candidates": {"first": model_of("first"), "second": model_of("second")},
            "incumbent": "first",
            "config": {"execution": FAST, "models": POOL},
        }
        return RoutingMiddleware(**{**given, **fields})

    return make


@pytest.fixture
def agent(middleware: Agent, dead: ChatOpenAI, weather: Any) -> Agent:
    """Make an agent whose own model cannot be called."""

    def make(routing: RoutingMiddleware | None = None, *, tools: Any = (weather,), **fields: Any) -> Any:
        return create_agent(dead, list(tools), middleware=[routing or middleware()], **fields)

    return make


async def ran(agent: Any, way: str, asked: Any = ASKED, config: Any = None) -> tuple[dict[str, Any], list[str]]:
    """Run an agent in one of the ways; return its last state, and the words that were streamed."""
    modes: Any = ["messages", "values"]
    match way:
        case "invoke":
            return agent.invoke(asked, config), []
        case "ainvoke":
            return await agent.ainvoke(asked, config), []
        case "stream":
            return read(list(agent.stream(asked, config, stream_mode=modes)))
        case "astream":
            return read([part async for part in agent.astream(asked, config, stream_mode=modes)])
        case _:
            events = [event async for event in agent.astream_events(asked, config, version="v2")]
            words = [e["data"]["chunk"].text for e in events if e["event"] == "on_chat_model_stream"]
            return events[-1]["data"]["output"], [word for word in words if word]


def read(parts: list[Any]) -> tuple[dict[str, Any], list[str]]:
    *_, state = (part for mode, part in parts if mode == "values")
    streamed = (part[0] for mode, part in parts if mode == "messages")
    return state, [chunk.text for chunk in streamed if isinstance(chunk, AIMessageChunk) and chunk.text]


def models(state: dict[str, Any]) -> list[str]:
    """Return who answered, by the decisions in the state, in order."""
    return [account["model"] for account in state["taskrouter_decisions"]]


def asked_of(server: RunningServer) -> list[str | None]:
    return [request.model for request in server.requests]


# --- every way to run an agent --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_every_model_call_is_routed_and_kept_in_the_state(agent: Agent, server: RunningServer, way: str) -> None:
    state, words = await ran(agent(), way)
    assert state["messages"][-1].text == TOLD
    assert models(state) == ["first", "first"] == asked_of(server)
    if way in STREAMED:
        assert "".join(words) == TOLD
        assert len(words) > 1
    answers = [message for message in state["messages"] if isinstance(message, AIMessage)]
    assert [m.response_metadata["taskrouter"] for m in answers] == state["taskrouter_decisions"]
    assert len({account["decision_id"] for account in state["taskrouter_decisions"]}) == 2
    assert all(account["cost_usd"] > 0 for account in state["taskrouter_decisions"])


@pytest.mark.parametrize("way", WAYS)
async def test_a_dead_candidate_is_left_before_a_word_is_shown(
    agent: Agent, middleware: Agent, dead: ChatOpenAI, model_of: ModelOf, way: str
) -> None:
    routing = middleware(candidates={"first": dead, "second": model_of("second")})
    state, words = await ran(agent(routing), way)
    assert state["messages"][-1].text == TOLD
    assert "".join(words) == (TOLD if way in STREAMED else "")
    assert models(state) == ["second", "second"]
    assert [account["status"] for account in state["taskrouter_decisions"]] == ["fallback", "fallback"]


@pytest.mark.parametrize("way", STREAMED)
async def test_a_stream_that_ends_after_the_role_falls_back(agent: Agent, server: RunningServer, way: str) -> None:
    server.script("first", "ok", "cut_after_role")
    state, words = await ran(agent(), way)
    assert "".join(words) == TOLD
    assert models(state) == ["first", "second"]


@pytest.mark.parametrize("way", STREAMED)
async def test_a_stream_that_breaks_after_its_first_word_is_never_followed_by_another(
    agent: Agent, middleware: Agent, server: RunningServer, way: str
) -> None:
    routing = middleware()
    server.script("first", "ok", "drop_connection")
    with pytest.raises(lc.ModelError) as caught:
        await ran(agent(routing), way)
    broken = caught.value.__cause__
    assert isinstance(broken, StreamBroken)
    assert broken.partial.text
    assert TOLD.startswith(broken.partial.text)
    assert not caught.value.is_retryable
    assert asked_of(server) == ["first", "first"]
    (first, _) = routing.router.health()
    assert first.error_rate is not None
    assert first.error_rate > 0.0


async def test_a_stream_that_runs_out_of_time_after_its_first_word_is_not_followed_either(
    agent: Agent, middleware: Agent, server: RunningServer
) -> None:
    server.script("first", "stall")
    routing = middleware(config={"models": POOL, "execution": {**FAST, "timeout_s": 0.3}})
    with pytest.raises(lc.ModelError) as caught:
        await ran(agent(routing, tools=()), "astream", {"messages": [("user", "What is 12 * 12?")]})
    assert isinstance(caught.value.__cause__, StreamBroken)
    assert not caught.value.is_retryable
    assert asked_of(server) == ["first"]


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
def test_the_third_version_of_streams_breaks_in_the_same_way(agent: Agent, server: RunningServer) -> None:
    stream = agent().stream_events(ASKED, version="v3")
    assert stream.output["messages"][-1].text == TOLD
    server.script("first", "ok", "drop_connection")
    with pytest.raises(lc.ModelError) as caught:
        _ = agent().stream_events(ASKED, version="v3").output
    assert isinstance(caught.value.__cause__, StreamBroken)
    assert asked_of(server) == ["first"] * 4


async def test_what_was_shown_stands_and_what_was_not_is_judged(agent: Agent, server: RunningServer) -> None:
    server.script("first", "invalid_tool_call", "ok", "invalid_tool_call")
    state, _ = await ran(agent(), "invoke")
    assert models(state) == ["second", "first"]
    state, _ = await ran(agent(), "stream")
    assert models(state) == ["first"]
    assert state["messages"][-1].invalid_tool_calls


@pytest.mark.parametrize("way", WAYS)
async def test_each_answer_is_told_to_the_callbacks_once(agent: Agent, runs: Runs, way: str) -> None:
    await ran(agent(), way, config={"callbacks": [runs]})
    assert (len(runs.started), len(runs.ended), len(runs.failed)) == (2, 2, 0)


def test_several_event_loops_share_a_middleware(agent: Agent) -> None:
    shared = agent()
    states = [asyncio.run(shared.ainvoke(ASKED)) for _ in range(2)]
    assert [models(state) for state in states] == [["first", "first"]] * 2


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_users_catch_langchains_errors(agent: Agent, server: RunningServer, way: str) -> None:
    server.script("first", *DEAD)
    server.script("second", "rate_limit")
    with pytest.raises(lc.ModelRateLimitError) as caught:
        await ran(agent(), way)
    assert isinstance(caught.value.__cause__, AllAttemptsFailedError)
    assert [attempt.model for attempt in caught.value.__cause__.attempts] == ["first", "second"]


def test_a_request_that_no_candidate_can_take_sends_nothing(
    agent: Agent, middleware: Agent, server: RunningServer
) -> None:
    config = {"models": [{"id": name, "context_tokens": 10} for name in ("first", "second")]}
    with pytest.raises(NoEligibleModelError, match="'first'"):
        agent(middleware(config=config)).invoke({"messages": [("user", "word " * 200)]})
    assert server.requests == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"candidates": {}}, "candidates is empty"),
        ({"candidates": {"first": 1}}, "is a int; it must be a chat model"),
        ({"incumbent": "third"}, "incumbent: unknown model 'third'"),
        ({"config": {"execution": {"hedge_quantile": 0.9}}}, "hedge_quantile"),
        ({"model": "gpt-4o"}, "model is a str; it must be a RoutedChatModel"),
    ],
)
def test_what_is_wrong_is_said_at_once(middleware: Agent, fields: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        middleware(**fields)


def test_a_model_comes_with_everything(middleware: Agent, model_of: ModelOf) -> None:
    routed = RoutedChatModel({"first": model_of("first")})
    with pytest.raises(ConfigurationError, match="give nothing beside it"):
        middleware(model=routed)
    assert RoutingMiddleware(model=routed).router is routed.router


# --- budgets and state ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_a_budget_counts_the_steps_and_the_next_one_is_refused_before_it_is_made(
    agent: Agent, middleware: Agent, server: RunningServer, way: str
) -> None:
    routing = middleware()
    with routing.router.budget(usd=1.0, steps=3) as budget:
        state, _ = await ran(agent(routing), way)
        with pytest.raises(BudgetExceededError, match="3 steps spent"):
            await ran(agent(routing), way)
    assert len(server.requests) == 3
    assert budget.held_usd == 0.0
    assert 0 < sum(account["cost_usd"] for account in state["taskrouter_decisions"]) < budget.spent_usd


def test_the_words_of_a_broken_stream_are_paid_for(agent: Agent, middleware: Agent, server: RunningServer) -> None:
    routing = middleware()
    server.script("first", "drop_connection")
    with routing.router.budget(usd=1.0) as budget, pytest.raises(lc.ModelError) as caught:
        for _ in agent(routing, tools=()).stream(ASKED, stream_mode="messages"):
            pass
    broken = caught.value.__cause__
    assert isinstance(broken, StreamBroken)
    assert budget.spent_usd > 4e-6 * (len(broken.partial.text) // 4)
    assert budget.held_usd == 0.0


def test_a_conversation_keeps_all_its_decisions(agent: Agent) -> None:
    thread: Any = {"configurable": {"thread_id": "one"}}
    talking = agent(checkpointer=InMemorySaver())
    talking.invoke(ASKED, thread)
    state = talking.invoke(ASKED, thread)
    assert models(state) == ["first"] * 4
    assert talking.get_state(thread).values["taskrouter_decisions"] == state["taskrouter_decisions"]
    assert "taskrouter_decisions" not in talking.get_input_jsonschema()["properties"]


# --- what a step is -------------------------------------------------------------------------------------------------


def test_the_agent_its_thread_and_its_task_are_known(model_of: ModelOf, agent: Agent, pool: Any) -> None:
    watcher = Watcher()
    router = Router(pool, "first", plugins=[watcher])
    model = RoutedChatModel({"first": model_of("first"), "second": model_of("second")}, router=router)
    routing = RoutingMiddleware(model=model.for_node("planner", task="planning"))
    talking = agent(routing, name="guide", tools=())
    talking.invoke(ASKED, {"configurable": {"thread_id": "one", "taskrouter": {"tenant": "acme"}}})
    (outcome,) = watcher.outcomes
    context = outcome.decision.context
    assert (context.agent, context.node, context.session_id, context.tenant) == ("guide", "planner", "one", "acme")
    assert outcome.decision.profile.task_type == "planning"


def test_a_call_can_be_pinned_or_be_a_dry_run(agent: Agent) -> None:
    state = agent().invoke(ASKED, {"configurable": {"taskrouter": {"model": "second"}}})
    assert models(state) == ["second", "second"]
    dry = agent().invoke(ASKED, {"configurable": {"taskrouter": {"dry_run": True}}})
    assert [account["dry_run"]["model"] for account in dry["taskrouter_decisions"]] == ["first", "first"]


def test_a_candidate_keeps_its_options_and_its_callbacks(
    agent: Agent, middleware: Agent, model_of: ModelOf, runs: Runs, server: RunningServer
) -> None:
    first = model_of("first", callbacks=[runs]).bind(max_tokens=2)
    state = agent(middleware(candidates={"first": first, "second": model_of("second")}), tools=()).invoke(ASKED)
    assert len(runs.ended) == 1
    assert server.requests[0].finish_reason == "length"
    assert models(state) == ["first"]
