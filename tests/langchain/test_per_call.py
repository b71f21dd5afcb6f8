"""What one call may say of its own routing, and copies of a model."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from langchain_taskrouter import RoutedChatModel
from taskrouter import ConfigurationError
from taskrouter.simulator import RunningServer

from .conftest import QUESTION, ModelOf, Routed


def said(**keys: Any) -> Any:
    return {"configurable": {"taskrouter": keys}}


def account(message: Any) -> dict[str, Any]:
    facts: dict[str, Any] = message.response_metadata["taskrouter"]
    return facts


async def test_a_call_names_its_model_policy_and_identity_in_all_four_ways(routed: Routed) -> None:
    model = routed()
    config: Any = said(model="second", policy="economy", tenant="acme", tags=["x"], run_id="r", task="planning")
    chunks = [list(model.stream(QUESTION, config)), [chunk async for chunk in model.astream(QUESTION, config)]]
    answers = [
        model.invoke(QUESTION, config),
        await model.ainvoke(QUESTION, config),
        *(next(chunk for chunk in found if "taskrouter" in chunk.response_metadata) for found in chunks),
    ]
    assert {account(answer)["model"] for answer in answers} == {"second"}
    assert {account(answer)["task_type"] for answer in answers} == {"planning"}


def test_what_a_call_says_survives_bound_tools_and_chains(routed: Routed, weather: Any) -> None:
    chain = routed().bind_tools([weather]) | (lambda message: message)
    answer = chain.invoke("What is the weather in Paris?", said(model="second"))
    assert account(answer)["model"] == "second"


def test_another_policy_holds_for_the_call_alone(routed: Routed) -> None:
    prices = [
        {"id": "first", "input_usd_per_million": 10.0, "output_usd_per_million": 40.0},
        {"id": "second", "input_usd_per_million": 1.0, "output_usd_per_million": 4.0},
    ]
    model = routed(config={"models": prices})
    cheap = {"quality": 0.0, "cost": 1.0}
    assert account(model.invoke(QUESTION, said(policy=cheap)))["model"] == "second"
    assert account(model.invoke(QUESTION))["model"] == "first"


def test_in_a_dry_run_the_incumbent_answers_and_the_answer_says_who_would_have(
    routed: Routed, server: RunningServer
) -> None:
    prices = [
        {"id": "first", "input_usd_per_million": 10.0, "output_usd_per_million": 40.0},
        {"id": "second", "input_usd_per_million": 1.0, "output_usd_per_million": 4.0},
    ]
    model = routed(config={"models": prices})
    facts = account(model.invoke(QUESTION, said(policy={"quality": 0.0, "cost": 1.0}, dry_run=True)))
    assert facts["model"] == "first"
    assert facts["dry_run"]["model"] == "second"
    assert [request.model for request in server.requests] == ["first"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model": "third"}, "model='third' is no candidate; the candidates are first, second"),
        ({"polcy": "safe"}, "unknown key 'polcy'; known keys: task, agent"),
        ({"dry_run": 1}, "dry_run is a int; it must be True or False"),
        ({"policy": "cheap"}, "unknown name 'cheap'"),
        ({"task": "planing"}, "unknown task type 'planing'"),
    ],
)
def test_what_is_wrong_is_said_before_any_request(
    routed: Routed, server: RunningServer, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        routed().invoke(QUESTION, said(**keys))
    assert server.requests == []


def test_how_to_route_is_not_read_from_metadata_which_goes_into_traces(routed: Routed) -> None:
    with pytest.raises(ConfigurationError, match=r"metadata\['taskrouter'\]: unknown key 'model'"):
        routed().invoke(QUESTION, {"metadata": {"taskrouter": {"model": "second"}}})


def fakes() -> dict[str, Any]:
    return {name: FakeListChatModel(responses=[name]) for name in ("a", "b")}


def test_a_model_whose_candidates_allow_it_can_be_pickled_and_decides_alike() -> None:
    model = RoutedChatModel(fakes(), "b", {"latency": 1.0}, config={"execution": {"retries": 0}}, name="mine")
    twin = pickle.loads(pickle.dumps(model.for_node("planner", task="planning")))  # noqa: S301 - our own bytes
    assert twin.invoke("hi").text == model.invoke("hi").text
    assert (twin.name, twin.declared) == ("mine", {"node": "planner", "task": "planning"})
    assert twin.router.policy == model.router.policy
    assert twin.router.incumbent == "b"
    assert twin.router is not model.router


def test_a_copy_shares_candidates_router_and_budgets(routed: Routed, model_of: ModelOf) -> None:
    model = routed()
    twin = copy.deepcopy(model)
    assert twin is not model
    assert twin.router is model.router
    assert account(twin.invoke(QUESTION))["model"] == "first"


def test_a_model_with_a_shared_router_says_why_it_cannot_be_pickled() -> None:
    router = RoutedChatModel(fakes(), "a").router
    with pytest.raises(TypeError, match="a RoutedChatModel with a shared router cannot be pickled"):
        pickle.dumps(RoutedChatModel(fakes(), router=router))


def test_a_misspelt_argument_is_named_and_not_ignored(model_of: ModelOf) -> None:
    with pytest.raises(ConfigurationError, match="no argument 'temprature'; did you mean 'temperature'"):
        RoutedChatModel([model_of("first")], temprature=0.5)


def test_patience_and_retries_may_be_said_as_langchain_s_models_say_them(routed: Routed) -> None:
    model = routed(config={"execution": {"retries": 1}}, timeout=7.5, max_retries=4)
    assert (model.router.execution.timeout_s, model.router._execution.retries) == (7.5, 4)
    with pytest.raises(ConfigurationError, match="execution"):
        routed(config=None, max_retries=-1)
    with pytest.raises(ConfigurationError, match="timeout and max_retries are the router's"):
        RoutedChatModel(fakes(), router=RoutedChatModel(fakes(), "a").router, timeout=3)
