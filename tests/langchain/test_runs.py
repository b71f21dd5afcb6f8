"""What belongs to one run of an agent: budgets, feedback, callbacks and tokens, also when a model fails."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send

from taskrouter import BudgetExceededError
from taskrouter.simulator import RunningServer

from .conftest import FAST, PRICES, QUESTION, ModelOf, Routed, Runs

POOL = [{"id": name, **PRICES} for name in ("first", "second")]
ASKED: Any = {"messages": [("user", "What is the weather in Oslo?")]}


def per_run(**limits: Any) -> dict[str, Any]:
    return {"execution": FAST, "models": POOL, "budget": {"run": limits}}


class Branches(TypedDict):
    topics: list[str]
    answers: Annotated[list[str], operator.add]
    refused: Annotated[list[str], operator.add]


def branching(model: Any) -> Any:
    """A graph with parallel branches, each of which asks."""

    async def ask(state: dict[str, str]) -> dict[str, Any]:
        try:
            return {"answers": [(await model.ainvoke(state["topic"])).text]}
        except BudgetExceededError as error:
            return {"refused": [str(error)]}

    graph: Any = StateGraph(Branches)
    graph.add_node("ask", ask)
    graph.add_conditional_edges(START, lambda state: [Send("ask", {"topic": topic}) for topic in state["topics"]])
    graph.add_edge("ask", END)
    return graph.compile()


async def test_parallel_branches_of_a_graph_keep_one_dollar_budget(routed: Routed, server: RunningServer) -> None:
    model = routed(config=per_run(usd=0.006))
    result = await branching(model).ainvoke({"topics": [f"Tell me of {i}." for i in range(60)]})
    records = [record for record in server.requests if record.status == 200]
    spent = sum(record.prompt_tokens * 1.0 + record.completion_tokens * 4.0 for record in records) / 1e6
    assert len(result["answers"]) == len(records) > 0
    assert result["refused"]
    assert len(result["answers"]) + len(result["refused"]) == 60
    assert spent <= 0.006


def test_two_runs_of_one_thread_have_budgets_of_their_own(routed: Routed, weather: Any) -> None:
    agent = create_agent(routed(config=per_run(steps=2)), [weather], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "one conversation"}}
    for _ in range(3):  # each of them takes two steps
        result = agent.invoke(ASKED, config)
    assert len([m for m in result["messages"] if isinstance(m, AIMessage)]) == 6


def test_a_run_is_the_outermost_one_also_beneath_a_tool_that_is_an_agent(routed: Routed, weather: Any) -> None:
    model = routed(config=per_run(steps=3))
    inner = create_agent(model, [weather])

    @tool
    def lookup(city: str) -> str:
        """Look up the weather of a city."""
        return str(inner.invoke(ASKED)["messages"][-1].text)

    with pytest.raises(BudgetExceededError, match="3 steps spent"):
        create_agent(model, [lookup]).invoke(ASKED)


def test_what_a_user_says_of_the_run_comes_first(routed: Routed, weather: Any) -> None:
    agent = create_agent(routed(config=per_run(steps=3)), [weather])
    config: Any = {"configurable": {"taskrouter": {"run_id": "mine"}}}
    agent.invoke(ASKED, config)
    with pytest.raises(BudgetExceededError, match="3 steps spent"):
        agent.invoke(ASKED, config)


def test_a_run_s_outcome_can_be_credited_to_its_steps(routed: Routed, weather: Any) -> None:
    model = routed()
    result = create_agent(model, [weather]).invoke(ASKED, {"configurable": {"taskrouter": {"run_id": "mine"}}})
    decided = [m.response_metadata["taskrouter"]["decision_id"] for m in result["messages"] if isinstance(m, AIMessage)]
    model.router.feedback_run("mine", 1.0)
    assert list(model.router._teaching.credit.shares("mine")) == decided


@pytest.mark.parametrize("fault", [None, "server_error", "cut_after_role", "empty_stream"])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_call_is_one_run_its_tokens_are_the_server_s_and_its_text_is_what_was_sent(
    routed: Routed, server: RunningServer, runs: Runs, asynchronous: bool, fault: Any
) -> None:
    model = routed()
    usage = UsageMetadataCallbackHandler()
    if fault:
        server.script("first", fault)

    async def aanswer(state: MessagesState) -> MessagesState:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def answer(state: MessagesState) -> MessagesState:
        return {"messages": [model.invoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("answer", aanswer if asynchronous else answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    asked = {"messages": [("user", QUESTION)]}
    config: Any = {"callbacks": [runs, usage]}
    if asynchronous:
        shown = [part async for part, _ in graph.compile().astream(asked, config, stream_mode="messages")]
    else:
        shown = [part for part, _ in graph.compile().stream(asked, config, stream_mode="messages")]
    assert (len(runs.started), len(runs.ended), len(runs.failed)) == (1, 1, 0)
    assert "".join(part.text for part in shown) == "12 * 12 = 144"
    answered = [record for record in server.requests if record.status == 200 and not record.fault]
    assert len(answered) == 1
    counted = list(usage.usage_metadata.values())
    assert len(counted) == 1
    assert counted[0]["input_tokens"] == answered[0].prompt_tokens
    assert counted[0]["output_tokens"] == answered[0].completion_tokens
    assert len([part for part in shown if "taskrouter" in part.response_metadata]) == 1


def test_callbacks_around_a_candidate_are_told_of_its_calls(routed: Routed, model_of: ModelOf, runs: Runs) -> None:
    told = model_of("first").with_config(callbacks=[runs]).bind(temperature=0)
    model = routed(candidates={"first": told, "second": model_of("second")})
    model.invoke(QUESTION)
    assert (len(runs.started), len(runs.ended)) == (1, 1)
