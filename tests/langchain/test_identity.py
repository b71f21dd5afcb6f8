"""Where a step comes from: read off LangGraph, or declared by the user."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from opentelemetry.sdk.trace import TracerProvider
from tests.watcher import Watcher

from taskrouter import ConfigurationError, Router, StepContext

from .conftest import PRICES, QUESTION, Routed

ALL = ["invoke", "ainvoke", "stream", "astream"]


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def watched(routed: Routed, watcher: Watcher) -> Any:
    """A routed model whose outcomes are seen."""
    facts = {"capabilities": {"tools": True}, **PRICES}
    router = Router([{"id": name, **facts} for name in ("first", "second")], "first", plugins=[watcher])
    return routed(router=router, config=None, incumbent=None)


async def call(model: Any, mode: str, config: Any = None) -> None:
    match mode:
        case "invoke":
            model.invoke(QUESTION, config)
        case "ainvoke":
            await model.ainvoke(QUESTION, config)
        case "stream":
            list(model.stream(QUESTION, config))
        case _:
            [chunk async for chunk in model.astream(QUESTION, config)]


def context_of(watcher: Watcher) -> StepContext:
    (outcome,) = watcher.outcomes
    return outcome.decision.context


def in_a_graph(model: Any, mode: str) -> Any:
    async def think(state: MessagesState) -> MessagesState:
        await call(model, mode)
        return {"messages": []}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_edge(START, "think")
    graph.add_edge("think", END)
    return graph.compile(checkpointer=InMemorySaver())


@pytest.mark.parametrize("mode", ALL)
async def test_a_langgraph_node_is_known(watched: Any, watcher: Watcher, mode: str) -> None:
    config = {"configurable": {"thread_id": "chat-7"}, "tags": ["beta"]}
    await in_a_graph(watched, mode).ainvoke({"messages": []}, config)
    context = context_of(watcher)
    assert (context.node, context.index, context.session_id) == ("think", 1, "chat-7")
    assert context.tags == {"beta"}


@pytest.mark.parametrize("mode", ALL)
async def test_what_the_user_declares_wins(watched: Any, watcher: Watcher, mode: str) -> None:
    said = {
        "node": "planner",
        "task": "planning",
        "tenant": "acme",
        "run_id": "run-1",
        "session_id": "s",
        "tags": ["x"],
    }
    config = {"metadata": {"taskrouter": said}, "configurable": {"thread_id": "chat-7"}}
    await in_a_graph(watched, mode).ainvoke({"messages": []}, config)
    context = context_of(watcher)
    assert (context.node, context.tenant, context.run_id, context.session_id) == ("planner", "acme", "run-1", "s")
    assert context.tags == {"x"}
    assert watcher.outcomes[0].decision.profile.task_type == "planning"


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("place", ["metadata", "configurable"])
async def test_a_declaration_with_the_call_itself_is_seen(
    watched: Any, watcher: Watcher, mode: str, place: str
) -> None:
    await call(watched, mode, {place: {"taskrouter": {"agent": "clerk", "node": "draft"}}, "tags": ["beta"]})
    context = context_of(watcher)
    assert (context.agent, context.node, context.tags) == ("clerk", "draft", frozenset({"beta"}))


def test_a_declaration_survives_bind_tools(watched: Any, watcher: Watcher, weather: Any) -> None:
    bound = watched.bind_tools([weather]).with_config(configurable={"taskrouter": {"node": "draft"}})
    bound.invoke(QUESTION)
    assert context_of(watcher).node == "draft"


@pytest.mark.parametrize("mode", ["invoke", "ainvoke", "stream", "astream"])
async def test_an_agent_and_its_loop_are_known(watched: Any, watcher: Watcher, weather: Any, mode: str) -> None:
    agent: Any = create_agent(watched, [weather], name="reporter")
    asked = {"messages": [("user", "Use lookup: what is the weather in Oslo?")]}
    match mode:
        case "invoke":
            agent.invoke(asked)
        case "ainvoke":
            await agent.ainvoke(asked)
        case "stream":
            list(agent.stream(asked, stream_mode="messages"))
        case _:
            [part async for part in agent.astream(asked, stream_mode="messages")]
    contexts = [outcome.decision.context for outcome in watcher.outcomes]
    assert [(c.agent, c.node, c.index) for c in contexts] == [("reporter", "model", 1), ("reporter", "model", 3)]


def test_a_nameless_agent_is_known_by_the_node_it_runs_in(watched: Any, watcher: Watcher) -> None:
    agent: Any = create_agent(watched, [])
    graph: Any = StateGraph(MessagesState)
    graph.add_node("research", agent)
    graph.add_edge(START, "research")
    graph.compile().invoke({"messages": [("user", QUESTION)]})
    assert (context_of(watcher).agent, context_of(watcher).node) == ("research", "model")


def test_a_view_for_a_node_declares_it(watched: Any, watcher: Watcher) -> None:
    planner = watched.for_node("planner", task="planning", agent="boss")
    planner.invoke(QUESTION)
    watched.invoke(QUESTION)
    first, second = (outcome.decision for outcome in watcher.outcomes)
    assert (first.context.node, first.context.agent, first.profile.task_type) == ("planner", "boss", "planning")
    assert second.context.node is None


def test_a_view_for_a_node_takes_tools_and_schemas(watched: Any, watcher: Watcher, weather: Any) -> None:
    watched.for_node("tools").bind_tools([weather]).invoke("Use lookup for Oslo")
    watched.for_node("read").with_structured_output(dict_schema()).invoke("age: 36")
    assert [outcome.decision.context.node for outcome in watcher.outcomes] == ["tools", "read"]


def dict_schema() -> dict[str, Any]:
    return {"title": "person", "description": "A person.", "type": "object", "properties": {"age": {"type": "integer"}}}


def test_the_trace_is_the_run_where_nothing_else_is_known(watched: Any, watcher: Watcher) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("app") as span:
        watched.invoke(QUESTION)
    assert context_of(watcher).run_id == f"{span.get_span_context().trace_id:032x}"


def test_a_wrong_declaration_is_named(watched: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"metadata\['taskrouter'\]: unknown key 'taks'; known keys: task,"):
        watched.invoke(QUESTION, {"metadata": {"taskrouter": {"taks": "planning"}}})
    with pytest.raises(ConfigurationError, match="unknown task type 'plan'; known: "):
        watched.for_node("planner", task="plan")
    with pytest.raises(ConfigurationError, match="it must be a mapping"):
        watched.invoke(QUESTION, {"metadata": {"taskrouter": "planning"}})
    with pytest.raises(ConfigurationError, match="tags is a collection of strings, not the string 'beta'"):
        watched.invoke(QUESTION, {"metadata": {"taskrouter": {"tags": "beta"}}})


def test_tags_of_langchains_own_are_left_out(watched: Any, watcher: Watcher) -> None:
    (watched | (lambda message: message)).invoke(QUESTION, {"tags": ["beta"]})
    assert context_of(watcher).tags == {"beta"}
