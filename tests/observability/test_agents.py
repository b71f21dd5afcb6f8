"""Agents of every framework over a dead first model: each step has a route beneath what the framework is doing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from agent_framework import Agent, FunctionTool
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry import trace
from tests.adapters.door import Door
from tests.adapters.doors import agent_framework, autogen, langchain, llamaindex
from tests.observability.counting import counted_by_genai, counted_by_openinference, lineage
from tests.observability.scene import Scene
from tests.observability.steps import traced
from tests.standins import Vendors

from langchain_taskrouter import RoutingMiddleware
from taskrouter.observability import names as n

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:The `__fields:DeprecationWarning", "ignore:is_running:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `json` method:DeprecationWarning"),  # LlamaIndex's and OpenInference's
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),  # AutoGen's client logs what the SDK has parsed
]
ASKED = "What is the weather in Oslo?"


def get_weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"It is sunny in {city}."


async def langchain_agent(scene: Scene, routed: Any) -> None:
    agent: Any = create_agent(routed, [tool(get_weather)], name="helper")
    await agent.ainvoke({"messages": [("user", ASKED)]})


async def langchain_middleware(scene: Scene, routed: Any) -> None:
    middleware = RoutingMiddleware(model=routed)
    agent: Any = create_agent(routed, [tool(get_weather)], middleware=[middleware], name="helper")
    await agent.ainvoke({"messages": [("user", ASKED)]})


async def langgraph(scene: Scene, routed: Any) -> None:
    async def draft(state: MessagesState) -> Any:
        return {"messages": [await routed.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("draft", draft).add_node("review", draft)
    app: Any = graph.add_edge(START, "draft").add_edge("draft", "review").add_edge("review", END).compile()
    await app.ainvoke({"messages": [("user", "Hello")]})


async def llamaindex_agent(scene: Scene, routed: Any) -> None:
    await FunctionAgent(name="helper", llm=routed, tools=[get_weather]).run(ASKED)


async def llamaindex_rag(scene: Scene, routed: Any) -> None:
    index = SummaryIndex.from_documents([Document(text="The ferry leaves at nine.")])
    engine = index.as_query_engine(llm=routed)
    await engine.aquery("When does the ferry leave?")
    await engine.aquery("And on Sundays?")


async def autogen_team(scene: Scene, routed: Any) -> None:
    agents: Any = [AssistantAgent(name, routed) for name in ("planner", "critic")]
    await RoundRobinGroupChat(agents, termination_condition=MaxMessageTermination(3)).run(task="Hello")


async def agent_framework_agent(scene: Scene, routed: Any) -> None:
    await Agent(routed, name="helper", tools=[FunctionTool(name="get_weather", func=get_weather)]).run(ASKED)


@pytest.fixture
def instrumented(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every framework's own spans, or those of its instrumentation, go where ours go."""
    instrumentors: list[Any] = [LangChainInstrumentor(), LlamaIndexInstrumentor()]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=scene._provider)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", scene._provider)  # AutoGen's are the global one's
    monkeypatch.setattr("agent_framework.observability.get_tracer", lambda: scene.tracer)
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


Run = Callable[[Scene, Any], Awaitable[None]]
RUNS: dict[str, tuple[Door, Run, str]] = {
    "langchain agent": (langchain.DOOR, langchain_agent, "model"),
    "langchain middleware": (langchain.DOOR, langchain_middleware, "model"),
    "langgraph": (langchain.DOOR, langgraph, "LangGraph"),
    "llamaindex agent": (llamaindex.DOOR, llamaindex_agent, "FunctionAgent.run"),
    "llamaindex rag": (llamaindex.DOOR, llamaindex_rag, "RetrieverQueryEngine.aquery"),
    "autogen team": (autogen.DOOR, autogen_team, "invoke_agent"),
    "agent framework": (agent_framework.DOOR, agent_framework_agent, "invoke_agent helper"),
}
"""By name: the door, what is run, and the beginning of the name of a span that its steps must lie beneath."""


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> tuple[Door, Run, str]:
    return RUNS[request.param]


@pytest.fixture
def scene(run: tuple[Door, Run, str], vendors: Vendors) -> Scene:
    return Scene(run[0], vendors)


@pytest.mark.usefixtures("instrumented")
async def test_every_step_of_an_agent_lies_beneath_it(
    scene: Scene, run: tuple[Door, Run, str], caplog: pytest.LogCaptureFixture
) -> None:
    door, go, above = run
    scene.vendors.fail(door.wires[0].model, "error")
    routed = scene.routed(door.wires)
    with caplog.at_level(logging.WARNING, "opentelemetry"), scene.request_span():
        await go(scene, routed)
    steps = traced(scene.spans)
    assert [step.status for step in steps] == ["fallback", "fallback"]
    assert [step.each(n.ATTEMPT_OUTCOME) for step in steps] == [["failed", "ok"]] * 2
    for step in steps:
        names = lineage(step.route, scene.spans)
        assert [name for name in names if name.startswith(above)], names
        assert names[-1] == "request"
    assert len({span.context.trace_id for span in scene.spans if span.context}) == 1
    assert [r.getMessage() for r in caplog.records if r.name.startswith("opentelemetry")] == []


COUNTING = {"agent framework": ("framework", counted_by_genai), "autogen team": ("taskrouter", counted_by_genai)}
"""Who owns the tokens, and how a viewer of the framework's spans counts them; all others are OpenInference's."""


@pytest.mark.usefixtures("instrumented")
async def test_a_viewer_counts_the_tokens_of_an_agent_once(scene: Scene, run: tuple[Door, Run, str]) -> None:
    door, go, _ = run
    name = next(name for name, known in RUNS.items() if known is run)
    owner, counted = COUNTING.get(name, ("framework", counted_by_openinference))
    routed = scene.routed(door.wires, telemetry={"usage_owner": owner})
    await go(scene, routed)
    steps = traced(scene.spans)
    assert counted(scene.spans) == sum(step.said[n.USAGE_OUTPUT] for step in steps) > 0
