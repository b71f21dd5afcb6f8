"""What `RoutingMiddleware` asks each candidate with: providers' own tools, settings, ways of structured output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.structured_output import ProviderStrategy, StructuredOutputValidationError, ToolStrategy
from langchain_core import exceptions as lc
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr
from tests.standins import Vendors, serve
from tests.standins.models import ANTHROPIC, OPENAI, anthropic, openai

from langchain_taskrouter import RoutingMiddleware
from taskrouter import ConfigurationError, simulator
from taskrouter.simulator import RunningServer

from .conftest import FAST, PRICES, ModelOf

ASKED: Any = {"messages": [("user", "What is the weather in Oslo?")]}
BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


class Settings(AgentMiddleware[Any, Any, Any]):
    """Sets something for every call, as LangChain's caching middleware does."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
        return handler(request.override(model_settings=self._settings, tool_choice="required"))


def models(state: dict[str, Any]) -> list[str]:
    return [account["model"] for account in state["taskrouter_decisions"]]


# --- providers' own tools and settings ------------------------------------------------------------------------------


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with serve() as running:
        yield running


def both_vendors(vendors: Vendors, first: str) -> RoutingMiddleware:
    candidates = [openai(vendors, use_responses_api=True), anthropic(vendors)]
    return RoutingMiddleware(candidates, first, config={"execution": FAST})


SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}


def test_a_vendors_own_tool_reaches_nobody_else(vendors: Vendors, dead: ChatOpenAI) -> None:
    vendors.fail(ANTHROPIC, "error")
    with pytest.raises(lc.ModelAPIError):
        create_agent(dead, [SEARCH], middleware=[both_vendors(vendors, ANTHROPIC)]).invoke(ASKED)
    assert [(request.model, request.body["tools"]) for request in vendors.received] == [(ANTHROPIC, [SEARCH])]


def test_every_vendor_gets_its_own_of_several_that_do_the_same(vendors: Vendors, dead: ChatOpenAI) -> None:
    vendors.fail(ANTHROPIC, "error")
    both = both_vendors(vendors, ANTHROPIC)
    state = create_agent(dead, [SEARCH, {"type": "web_search"}], middleware=[both]).invoke(ASKED)
    assert models(state) == [OPENAI]
    bodies = {request.model: request.body["tools"] for request in vendors.received}
    assert bodies == {ANTHROPIC: [SEARCH], OPENAI: [{"type": "web_search"}]}


def test_a_tool_that_nobody_has_is_an_error_before_anything_is_sent(
    model_of: ModelOf, dead: ChatOpenAI, server: RunningServer
) -> None:
    plain = RoutingMiddleware({"first": model_of("first")})
    with pytest.raises(ConfigurationError, match="'first' has no web search"):
        create_agent(dead, [SEARCH], middleware=[plain]).invoke(ASKED)
    assert server.requests == []


def test_the_settings_of_one_vendors_cache_do_not_reach_another(
    vendors: Vendors, dead: ChatOpenAI, weather: Any
) -> None:
    marked: Any = {"cache_control": {"type": "ephemeral"}, "prompt_cache_key": "one"}
    vendors.fail(ANTHROPIC, "error")
    agent = create_agent(dead, [weather], middleware=[Settings(marked), both_vendors(vendors, ANTHROPIC)])
    list(agent.stream(ASKED, stream_mode="updates", interrupt_after=["model"]))
    bodies = {request.model: request.body for request in vendors.received}
    assert ("prompt_cache_key" in bodies[ANTHROPIC], "prompt_cache_key" in bodies[OPENAI]) == (False, True)
    assert "cache_control" not in str(bodies[OPENAI])
    assert bodies[ANTHROPIC]["tool_choice"] == {"type": "any"}
    assert bodies[OPENAI]["tool_choice"] == "required"


def test_tools_and_their_choice_that_a_candidate_has_bound_give_way_to_the_agents(
    vendors: Vendors, dead: ChatOpenAI, weather: Any
) -> None:
    own = openai(vendors, use_responses_api=False).bind_tools([Sum], tool_choice="any", parallel_tool_calls=False)
    routing = RoutingMiddleware({"own": own}, config={"execution": FAST})
    create_agent(dead, middleware=[routing]).invoke(ASKED)
    agent = create_agent(dead, [weather], middleware=[routing])
    list(agent.stream(ASKED, stream_mode="updates", interrupt_after=["model"]))
    bare, bound = (request.body for request in vendors.received)
    assert [tool["function"]["name"] for tool in bare["tools"]] == ["Sum"]
    assert [tool["function"]["name"] for tool in bound["tools"]] == ["lookup"]
    for body in (bare, bound):
        assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)


# --- structured output ----------------------------------------------------------------------------------------------


class Sum(BaseModel):
    """A sum."""

    total: int


LOOKED_UP: Any = {"name": "lookup", "args": {"city": "Oslo"}, "id": "call_1"}
ADD: Any = {
    "messages": [
        HumanMessage("What is 12 + 30?"),
        AIMessage("", tool_calls=[LOOKED_UP]),
        ToolMessage("It is sunny.", tool_call_id="call_1"),
    ]
}
"""A conversation that only wants its answer. (OpenAI refuses the empty list of tools of an agent without any.)"""


@pytest.fixture
def recorded() -> Iterator[RunningServer]:
    """The simulator's two models, with what they were asked."""
    given = [{"id": name, **PRICES} for name in ("first", "second")]
    with simulator.serve({"speed": 0.0, "record_content": True, "models": given}) as running:
        yield running


def strategies(server: RunningServer) -> list[str]:
    """Return how each request asked for a structured answer."""
    bodies = [request.body or {} for request in server.requests]
    return [
        "provider" if "response_format" in body else "tool" if len(body["tools"]) > 1 else "none" for body in bodies
    ]


def structured(server: RunningServer) -> RoutingMiddleware:
    """Make the middleware over a model with structured output of its own, and one without."""

    def model_of(name: str, profile: Any) -> ChatOpenAI:
        return ChatOpenAI(model=name, base_url=server.base_url, api_key=SecretStr("any"), profile=profile)

    candidates = {
        "first": model_of("first", {"structured_output": True, "tool_calling": True}),
        "second": model_of("second", {"structured_output": False, "tool_calling": True}),
    }
    return RoutingMiddleware(candidates, "first", config={"execution": FAST})


@BOTH
async def test_the_way_of_structured_output_is_that_of_the_model_that_answers(
    recorded: RunningServer, dead: ChatOpenAI, weather: Any, asynchronous: bool
) -> None:
    agent = create_agent(dead, [weather], middleware=[structured(recorded)], response_format=Sum)
    state = await agent.ainvoke(ADD) if asynchronous else agent.invoke(ADD)
    assert isinstance(state["structured_response"], Sum)
    recorded.script("first", "server_error")
    state = await agent.ainvoke(ADD) if asynchronous else agent.invoke(ADD)
    assert isinstance(state["structured_response"], Sum)
    assert models(state) == ["second"]
    assert strategies(recorded) == ["provider", "provider", "tool"]


@pytest.mark.parametrize(("strategy", "way"), [(ToolStrategy(Sum), "tool"), (ProviderStrategy(Sum), "provider")])
def test_a_way_that_is_asked_for_stays(
    recorded: RunningServer, dead: ChatOpenAI, weather: Any, strategy: Any, way: str
) -> None:
    state = create_agent(dead, [weather], middleware=[structured(recorded)], response_format=strategy).invoke(ADD)
    assert isinstance(state["structured_response"], Sum)
    assert strategies(recorded) == [way]


def test_a_model_that_lacks_the_way_that_is_asked_for_gets_no_step(
    recorded: RunningServer, dead: ChatOpenAI, weather: Any
) -> None:
    recorded.script("first", "server_error")
    agent = create_agent(dead, [weather], middleware=[structured(recorded)], response_format=ProviderStrategy(Sum))
    with pytest.raises(lc.ModelAPIError):
        agent.invoke(ADD)
    assert [request.model for request in recorded.requests] == ["first"]


@pytest.mark.parametrize("schema", [Sum, Sum.model_json_schema()])
def test_an_answer_of_the_wrong_shape_is_a_failure_and_the_next_model_is_asked(
    recorded: RunningServer, dead: ChatOpenAI, weather: Any, schema: Any
) -> None:
    recorded.script("first", "malformed_json")
    state = create_agent(dead, [weather], middleware=[structured(recorded)], response_format=schema).invoke(ADD)
    assert models(state) == ["second"]
    assert state["structured_response"] is not None


def test_an_answer_that_cannot_be_read_falls_back_unless_it_was_shown(
    recorded: RunningServer, dead: ChatOpenAI, weather: Any
) -> None:
    recorded.script("first", "wrong_schema", "wrong_schema")
    agent = create_agent(dead, [weather], middleware=[structured(recorded)], response_format=Sum)
    assert models(agent.invoke(ADD)) == ["second"]
    with pytest.raises(StructuredOutputValidationError):
        list(agent.stream(ADD, stream_mode="messages"))
    assert [request.model for request in recorded.requests] == ["first", "second", "first"]
