"""Budgets and breakers of the router hold for everything that LangChain does beneath them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage

from taskrouter import BudgetExceededError
from taskrouter.simulator import RunningServer

from .conftest import FAST, PRICES, QUESTION, Routed


async def test_a_budget_counts_the_steps_of_an_agent_whichever_way_it_runs(
    routed: Routed, weather: Any, server: RunningServer
) -> None:
    model = routed()
    agent = create_agent(model, [weather])
    question: Any = {"messages": [HumanMessage("What is the weather in Oslo?")]}
    with model.router.budget(usd=1.0) as plain:
        agent.invoke(question)
    async with model.router.budget(usd=1.0) as streamed:
        async for _ in agent.astream(question, stream_mode="messages"):
            pass
    assert plain.steps_taken == streamed.steps_taken == 2
    assert plain.held_usd == streamed.held_usd == 0.0
    assert plain.spent_usd == pytest.approx(streamed.spent_usd)
    assert len(server.requests) == 4


def test_branches_of_a_batch_draw_on_one_budget_and_the_next_call_is_refused_before_it_is_made(
    routed: Routed, server: RunningServer
) -> None:
    model = routed()
    with model.router.budget(steps=3) as budget:
        model.batch([QUESTION] * 3)
        with pytest.raises(BudgetExceededError, match="3 steps spent"):
            model.invoke(QUESTION)
    assert budget.steps_taken == len(server.requests) == 3


async def test_parallel_branches_never_spend_more_than_the_budget(routed: Routed) -> None:
    model = routed()
    async with model.router.budget(usd=0.004) as budget:
        ended = await asyncio.gather(*(model.ainvoke(QUESTION) for _ in range(20)), return_exceptions=True)
    refused = [error for error in ended if isinstance(error, BudgetExceededError)]
    assert len(refused) + sum(not isinstance(end, BaseException) for end in ended) == 20
    assert budget.spent_usd <= 0.004
    assert budget.held_usd == 0.0


def test_a_candidate_whose_breaker_is_open_is_not_called(routed: Routed, server: RunningServer) -> None:
    pool = [{"id": name, **PRICES} for name in ("first", "second")]
    model = routed(config={"execution": FAST, "models": pool, "health": {"failures": 2}})
    server.script("first", "server_error", "server_error")
    said = [model.invoke(QUESTION).response_metadata["taskrouter"] for _ in range(3)]
    assert [account["model"] for account in said] == ["second", "second", "second"]
    assert [account["attempts"] for account in said] == [2, 2, 1]
    assert [request.model for request in server.requests].count("first") == 2
