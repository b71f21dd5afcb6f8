"""What the framework tells of answers: tools that failed, parsers that could not read, nodes that raised."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import JsonOutputParser
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from langchain_taskrouter import RoutedChatModel
from taskrouter.state.opening import open_store

from .conftest import QUESTION, Routed

Said = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db"


@pytest.fixture
def model(routed: Routed, url: str) -> RoutedChatModel:
    return routed(config={"state": {"url": url}})


@pytest.fixture
def said(model: RoutedChatModel, url: str) -> Said:
    """What was kept as feedback: (decision id, source)."""

    def read() -> list[tuple[str, str]]:
        model.router.close()
        store = open_store(url)
        records = [json.loads(record.text) for record in store.read("feedback")]
        store.close()
        assert all(record["score"] == 0.0 for record in records)
        return [(record["decision_id"], record["source"]) for record in records]

    return read


def decided(message: Any) -> str:
    found: str = message.response_metadata["taskrouter"]["decision_id"]
    return found


def graph_of(*nodes: Callable[[MessagesState], Any], **options: Any) -> Any:
    graph: Any = StateGraph(MessagesState)
    names = [START, *(node.__name__ for node in nodes), END]
    for node in nodes:
        graph.add_node(node.__name__, node)
    for before, after in pairwise(names):
        graph.add_edge(before, after)
    return graph.compile(**options)


def test_a_tool_that_failed_counts_once_against_the_step_that_called_it(
    model: RoutedChatModel, said: Said, weather: Any
) -> None:
    question = HumanMessage("What is the weather in Paris?")
    call = model.bind_tools([weather]).invoke([question])
    results = [ToolMessage("no such city", tool_call_id=str(call.tool_calls[0]["id"]), status="error")]
    conversation = [question, call, *results]
    model.invoke(conversation)
    last = model.invoke(conversation)
    model.invoke([*conversation, last, HumanMessage("And in Rome?")])
    assert said() == [(decided(call), "tool_error")]


def test_tools_that_worked_and_messages_of_others_count_against_nobody(model: RoutedChatModel, said: Said) -> None:
    call = {"name": "f", "args": {}, "id": "c1", "type": "tool_call"}
    strange: Any = AIMessage("", tool_calls=[call], response_metadata={"taskrouter": "not ours"})
    model.invoke([HumanMessage("?"), strange, ToolMessage("broken", tool_call_id="c1", status="error")])
    model.invoke([HumanMessage("?"), AIMessage("", tool_calls=[call]), ToolMessage("fine", tool_call_id="c1")])
    assert said() == []


def test_a_parser_that_cannot_read_the_answer_counts_against_its_step(model: RoutedChatModel, said: Said) -> None:
    answers: list[AIMessage] = []

    def kept(message: AIMessage) -> AIMessage:
        answers.append(message)
        return message

    chain = model | RunnableLambda(kept) | JsonOutputParser()
    with pytest.raises(ValueError, match="Invalid json output"):
        chain.invoke("hi")
    assert said() == [(decided(answers[0]), "parser_error")]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
def test_a_node_that_raises_after_its_step_counts_against_it_and_not_against_another_node_s(
    model: RoutedChatModel, said: Said, way: str
) -> None:
    answers = []

    def plan(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def act(state: MessagesState) -> dict[str, Any]:
        answers.append(model.invoke(state["messages"]))
        raise KeyError("the answer names nothing we have")

    graph = graph_of(plan, act)
    given = {"messages": [HumanMessage(QUESTION)]}
    ways = {
        "invoke": lambda: graph.invoke(given),
        "ainvoke": lambda: asyncio.run(graph.ainvoke(given)),
        "stream": lambda: list(graph.stream(given)),
    }
    with pytest.raises(KeyError):
        ways[way]()
    assert said() == [(decided(answers[0]), "node_error")]


def test_a_node_without_a_step_that_raises_counts_against_nobody(model: RoutedChatModel, said: Said) -> None:
    def plan(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def store(state: MessagesState) -> dict[str, Any]:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        graph_of(plan, store).invoke({"messages": [HumanMessage(QUESTION)]})
    assert said() == []


def test_an_interrupt_is_no_failure(model: RoutedChatModel, said: Said) -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    def ask(state: MessagesState) -> dict[str, Any]:
        answer = model.invoke(state["messages"])
        interrupt("is this right?")
        return {"messages": [answer]}

    graph = graph_of(ask, checkpointer=InMemorySaver())
    result = graph.invoke({"messages": [HumanMessage(QUESTION)]}, {"configurable": {"thread_id": "t"}})
    assert result["__interrupt__"]
    assert said() == []


def test_the_failure_of_the_call_itself_is_not_counted_twice(model: RoutedChatModel, said: Said, server: Any) -> None:
    def ask(state: MessagesState) -> dict[str, Any]:
        model.invoke(state["messages"])
        return {"messages": [model.invoke(state["messages"])]}

    server.script("first", "ok", *["server_error"] * 8)
    server.script("second", *["server_error"] * 8)
    with pytest.raises(Exception, match="attempts failed"):
        graph_of(ask).invoke({"messages": [HumanMessage(QUESTION)]})
    assert said() == []


def test_credit_can_be_switched_off(routed: Routed, url: str) -> None:
    model = routed(config={"state": {"url": url}}, credit=False)
    with pytest.raises(ValueError, match="Invalid json output"):
        (model | JsonOutputParser()).invoke("hi")
    model.router.close()
    store = open_store(url)
    assert list(store.read("feedback")) == []
    store.close()
