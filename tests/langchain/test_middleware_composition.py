"""`RoutingMiddleware` beside other middleware, in any order: interrupts, errors, changed requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    ModelRequest,
    ModelResponse,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    ToolRetryMiddleware,
)
from langchain_core import exceptions as lc
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langchain_taskrouter import RoutingMiddleware
from taskrouter.errors import StreamBroken
from taskrouter.simulator import RunningServer

from .conftest import FAST, PRICES, ModelOf

Handler = Callable[[ModelRequest], ModelResponse]
AsyncHandler = Callable[[ModelRequest], Awaitable[ModelResponse]]
ASKED: Any = {"messages": [("user", "What is the weather in Oslo?")]}
TOLD = "The weather in Oslo is sunny, 21 degrees."
THREAD: Any = {"configurable": {"thread_id": "one"}}
POOL = [{"id": name, **PRICES} for name in ("first", "second")]
BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


class Wrap(AgentMiddleware[Any, Any, Any]):
    """Does something before and after the model is called."""

    def __init__(self, before: Callable[[ModelRequest], Any] = lambda request: None, after: Any = None) -> None:
        self._before, self._after = before, after

    def wrap_model_call(self, request: ModelRequest, handler: Handler) -> ModelResponse | AIMessage:
        changed = self._before(request)
        if isinstance(changed, AIMessage):
            return changed
        response = handler(changed or request)
        if self._after is not None:
            self._after()
        return response

    async def awrap_model_call(self, request: ModelRequest, handler: AsyncHandler) -> ModelResponse | AIMessage:
        changed = self._before(request)
        if isinstance(changed, AIMessage):
            return changed
        response = await handler(changed or request)
        if self._after is not None:
            self._after()
        return response


class Denied(Exception):  # noqa: N818 - what a user's own middleware may raise
    """Not a failure of any model."""


def deny(*_: Any) -> NoReturn:
    raise Denied


def routing(model_of: ModelOf, **fields: Any) -> RoutingMiddleware:
    given = {
        "candidates": {"first": model_of("first"), "second": model_of("second")},
        "incumbent": "first",
        "config": {"execution": FAST, "models": POOL},
    }
    return RoutingMiddleware(**{**given, **fields})


async def run(agent: Any, asked: Any, config: Any = None, *, asynchronous: bool) -> dict[str, Any]:
    state: dict[str, Any] = await agent.ainvoke(asked, config) if asynchronous else agent.invoke(asked, config)
    return state


def models(state: dict[str, Any]) -> list[str]:
    return [account["model"] for account in state["taskrouter_decisions"]]


# --- interrupts -----------------------------------------------------------------------------------------------------


@BOTH
async def test_an_interrupt_inside_is_no_failure_and_the_run_goes_on_from_its_checkpoint(
    model_of: ModelOf, dead: ChatOpenAI, weather: Any, server: RunningServer, asynchronous: bool
) -> None:
    routed = routing(model_of)
    stop = Wrap(lambda request: interrupt("May I?") and None)
    agent = create_agent(dead, [weather], middleware=[routed, stop], checkpointer=InMemorySaver())
    with routed.router.budget(usd=1.0) as budget:
        state = await run(agent, ASKED, THREAD, asynchronous=asynchronous)
        assert [one.value for one in state["__interrupt__"]] == ["May I?"]
        assert (server.requests, state.get("taskrouter_decisions", [])) == ([], [])
        assert budget.held_usd == 0.0
        for _ in range(2):
            state = await run(agent, Command(resume=True), THREAD, asynchronous=asynchronous)
    assert state["messages"][-1].text == TOLD
    assert models(state) == ["first", "first"]
    assert [request.model for request in server.requests] == ["first", "first"]
    assert [endpoint.error_rate for endpoint in routed.router.health()] == [0.0, None]
    assert budget.held_usd == 0.0


@BOTH
async def test_a_human_in_the_loop_finds_the_decisions_after_resuming(
    model_of: ModelOf, dead: ChatOpenAI, weather: Any, server: RunningServer, asynchronous: bool
) -> None:
    asks = HumanInTheLoopMiddleware(interrupt_on={"lookup": True})
    agent = create_agent(dead, [weather], middleware=[asks, routing(model_of)], checkpointer=InMemorySaver())
    state = await run(agent, ASKED, THREAD, asynchronous=asynchronous)
    assert state["__interrupt__"]
    assert models(state) == ["first"]
    server.script("first", "server_error")
    approved: Any = Command(resume={"decisions": [{"type": "approve"}]})
    state = await run(agent, approved, THREAD, asynchronous=asynchronous)
    assert state["messages"][-1].text == TOLD
    assert models(state) == ["first", "second"]


# --- what others raise and do ---------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_another_middleware_raises_comes_through_and_blames_no_model(
    model_of: ModelOf, dead: ChatOpenAI, server: RunningServer, when: str, asynchronous: bool
) -> None:
    routed = routing(model_of)
    inner = Wrap(deny) if when == "before" else Wrap(after=deny)
    with routed.router.budget(usd=1.0) as budget, pytest.raises(Denied):
        await run(create_agent(dead, middleware=[routed, inner]), ASKED, asynchronous=asynchronous)
    assert [request.model for request in server.requests] == ([] if when == "before" else ["first"])
    assert (budget.spent_usd > 0.0) is (when == "after")
    assert budget.held_usd == 0.0
    assert [endpoint.error_rate for endpoint in routed.router.health()] == [None, None]


@BOTH
@pytest.mark.parametrize("place", ["outer", "inner"])
async def test_tools_that_another_middleware_takes_away_stay_away(
    model_of: ModelOf, dead: ChatOpenAI, weather: Any, server: RunningServer, place: str, asynchronous: bool
) -> None:
    others = [Wrap(lambda request: request.override(tools=[]))]
    routed = [routing(model_of)]
    stack: list[Any] = others + routed if place == "outer" else routed + others
    server.script("first", "server_error")
    state = await run(create_agent(dead, [weather], middleware=stack), ASKED, asynchronous=asynchronous)
    assert [request.tools for request in server.requests] == [0, 0]
    assert models(state) == ["second"]


def test_an_answer_that_another_middleware_gives_itself_is_free(
    model_of: ModelOf, dead: ChatOpenAI, server: RunningServer
) -> None:
    agent = create_agent(dead, middleware=[routing(model_of), Wrap(lambda request: AIMessage("Closed today."))])
    state = agent.invoke(ASKED)
    assert state["messages"][-1].text == "Closed today."
    assert [account["cost_usd"] for account in state["taskrouter_decisions"]] == [0.0]
    assert server.requests == []


@BOTH
@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_it_works_at_every_place_among_langchains_own(
    model_of: ModelOf, dead: ChatOpenAI, weather: Any, server: RunningServer, place: int, asynchronous: bool
) -> None:
    stack: list[Any] = [
        ToolRetryMiddleware(max_retries=1),
        ModelCallLimitMiddleware(run_limit=5),
        SummarizationMiddleware(model_of("second"), trigger=("messages", 100)),
    ]
    stack.insert(place, routing(model_of))
    server.script("first", "ok", "server_error")
    agent = create_agent(dead, [weather], middleware=stack)
    state = await run(agent, ASKED, asynchronous=asynchronous)
    assert state["messages"][-1].text == TOLD
    assert models(state) == ["first", "second"]


def test_a_retrying_middleware_around_it_does_not_repeat_what_was_shown(
    model_of: ModelOf, dead: ChatOpenAI, server: RunningServer
) -> None:
    again = ModelRetryMiddleware(
        max_retries=2, retry_on=lambda error: getattr(error, "is_retryable", True), on_failure="error", initial_delay=0
    )
    agent = create_agent(dead, middleware=[again, routing(model_of)])
    server.script("first", "drop_connection")
    with pytest.raises(lc.ModelError):
        list(agent.stream(ASKED, stream_mode="messages"))
    assert len(server.requests) == 1
    server.script("first", "server_error")
    server.script("second", "server_error")
    assert models(agent.invoke(ASKED)) == ["first"]


@BOTH
async def test_two_of_them_work_and_the_inner_one_decides(
    model_of: ModelOf, dead: ChatOpenAI, server: RunningServer, asynchronous: bool
) -> None:
    stack = [routing(model_of, name="outer"), routing(model_of, name="inner", incumbent="second")]
    agent = create_agent(dead, middleware=stack)
    state = await run(agent, ASKED, asynchronous=asynchronous)
    assert [request.model for request in server.requests] == ["second"]
    assert models(state) == ["second", "first"]
    server.script("second", "drop_connection")
    with pytest.raises(lc.ModelError) as caught:
        list(agent.stream(ASKED, stream_mode="messages"))
    assert isinstance(caught.value.__cause__, StreamBroken)
    assert len(server.requests) == 2
