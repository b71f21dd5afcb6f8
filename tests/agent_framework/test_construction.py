"""Building a routed client: what is taken, what is told to the router, and what is refused in one clear error."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agent_framework import BaseChatClient, ChatContext, FunctionInvocationContext, function_middleware
from agent_framework_openai import OpenAIChatClient, OpenAIChatCompletionClient
from tests.standins import Vendors
from tests.standins.brain import GREETING

from autogen_taskrouter.agent_framework import RoutedChatClient
from taskrouter import ConfigurationError, ModelCard, NoEligibleModelError, Router

from .conftest import CHAT, STORING, Clients, Routed, account, said


def test_candidates_may_be_a_list_named_by_their_models(clients: Clients) -> None:
    client = RoutedChatClient(list(clients.values()), incumbent=STORING)
    assert list(client.candidates) == [CHAT, STORING]
    assert client.incumbent == STORING


async def test_a_single_candidate_is_the_incumbent(clients: Clients) -> None:
    answer = await RoutedChatClient({"only": clients["chat"]}).get_response(said("Hello"))
    assert (answer.text, account(answer)["model"]) == (GREETING, "only")


def test_the_catalogue_knows_what_the_name_says(clients: Clients) -> None:
    card = RoutedChatClient({"only": clients["chat"]}).router.models["only"]
    assert card.model == f"openai/{CHAT}"
    assert card.priced
    assert card.context_tokens


def test_a_client_of_the_frameworks_takes_tools_and_schemas_though_nobody_knows_its_model(vendors: Vendors) -> None:
    own = OpenAIChatCompletionClient(model="of-our-own", base_url=vendors.openai_url, api_key="any")
    card = RoutedChatClient({"own": own}).router.models["own"]
    assert (card.capabilities.tools, card.capabilities.json_schema, card.capabilities.vision) == (True, True, None)
    assert card.base_url == f"{vendors.openai_url}/"


def test_facts_from_the_configuration_win(clients: Clients) -> None:
    facts = {"id": "only", "input_usd_per_million": 2.5, "capabilities": {"tools": False}}
    card = RoutedChatClient({"only": clients["chat"]}, config={"models": [facts]}).router.models["only"]
    assert (card.input_usd_per_million, card.capabilities.tools) == (2.5, False)


async def test_a_candidate_without_tools_is_given_none(clients: Clients, weather: Any) -> None:
    facts = [{"id": "chat", "capabilities": {"tools": False}}]
    client = RoutedChatClient({"chat": clients["chat"]}, config={"models": facts})
    with pytest.raises(NoEligibleModelError):
        await client.get_response(said("What is the weather?"), options={"tools": [weather]})


@pytest.mark.parametrize("spec", ["openai/gpt-4o-mini", {"model": "openai/gpt-4o-mini"}, "card"])
def test_a_candidate_may_be_a_string_a_table_or_a_card(clients: Clients, spec: Any) -> None:
    given = ModelCard(id="any", model="openai/gpt-4o-mini") if spec == "card" else spec
    client = RoutedChatClient({"chat": clients["chat"], "small": given}, "chat")
    assert client.router.models["small"].model == "openai/gpt-4o-mini"


@function_middleware
async def watching(context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
    await call_next()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "candidates is empty"),
        ({"candidates": "gpt-4o"}, "candidates is a mapping from id to chat client"),
        ({"candidates": {"one": 1}}, r"candidates\['one'\] is a int; it must be a chat client"),
        ({"candidates": ["openai:gpt-4o"]}, r"candidates\[0\] is 'openai:gpt-4o'; a string is a LiteLLM model string"),
        ({"candidates": ["openai/gpt-4o"] * 2}, "the id 'openai/gpt-4o' is taken twice"),
        ({"candidates": ["openai/gpt-4o", "openai/gpt-4o-mini"]}, "incumbent is missing"),
        ({"candidates": ["openai/gpt-4o"], "incumbent": "other"}, "unknown model 'other'"),
        ({"candidates": ["openai/gpt-4o"], "polcy": "safe"}, "no argument 'polcy'; did you mean 'policy'"),
        ({"candidates": ["openai/gpt-4o"], "credits": True}, "no argument 'credits'; did you mean 'credit'"),
        ({"candidates": ["openai/gpt-4o"], "model": "m"}, "no argument 'model'"),
        ({"candidates": ["openai/gpt-4o"], "config": {"routes": {}}}, "routes"),
    ],
)
def test_what_is_wrong_is_said_at_once(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        RoutedChatClient(**arguments)


def test_one_client_alone_is_no_collection(clients: Clients) -> None:
    with pytest.raises(ConfigurationError, match="candidates is a mapping from id to chat client"):
        RoutedChatClient(clients["chat"])  # type: ignore[arg-type] # that is the mistake


def test_function_middleware_of_a_candidate_would_never_run_and_is_refused(vendors: Vendors) -> None:
    watched = OpenAIChatCompletionClient(model=CHAT, base_url=vendors.url, api_key="any", middleware=[watching])
    with pytest.raises(ConfigurationError, match=r"candidates\['a'\] has function middleware.*RoutedChatClient"):
        RoutedChatClient({"a": watched})


def test_a_shared_router_serves_several_clients(clients: Clients) -> None:
    router = Router(["openai/gpt-4o"], "openai/gpt-4o")
    with pytest.raises(ConfigurationError, match="'chat' is not in the pool of the given router"):
        RoutedChatClient(clients, router=router)
    shared = {"openai/gpt-4o": clients["chat"]}
    one, two = (RoutedChatClient(shared, router=router, policy=policy) for policy in (None, "economy"))
    assert one.router is two.router is router


def test_the_limits_may_be_said_as_arguments(clients: Clients) -> None:
    execution = RoutedChatClient(clients, "chat", timeout=7, max_retries=3).router.execution
    assert (execution.timeout_s, execution.retries) == (7, 3)


async def test_the_users_clients_are_never_changed(clients: Clients, vendors: Vendors, routed: Routed) -> None:
    before = {name: (client, dict(vars(client))) for name, client in clients.items()}
    client = routed()
    await client.get_response(said("Hello"))
    await client.aclose()
    for name, (given, fields) in before.items():
        assert client.candidates[name] is given
        assert vars(given) == fields
        assert given.client.max_retries == 2
        assert not given.client.is_closed()


def test_there_is_no_model_that_an_agent_could_copy(routed: Routed) -> None:
    client = routed()
    assert not hasattr(client, "model")
    assert "model" not in client.as_agent().default_options


def test_copies_share_the_router_and_the_candidates(routed: Routed) -> None:
    client = routed()
    for copied in (copy.copy(client), copy.deepcopy(client), client.for_agent("planner")):
        assert copied is not client
        assert copied.router is client.router
        assert copied.candidates == client.candidates


def test_what_is_shown_of_a_client_has_no_key(vendors: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_KEY", "table-canary")
    key = "sk-canary"
    headers = {"x-secret": "header-canary"}
    chat = OpenAIChatCompletionClient(model=CHAT, base_url=vendors.url, api_key=key, default_headers=headers)
    storing = OpenAIChatClient(model=STORING, base_url=vendors.url, api_key=key, default_headers=headers)
    table = {"model": "openai/gpt-4o", "api_key": "env:TABLE_KEY"}
    client = RoutedChatClient({"chat": chat, "storing": storing, "own": table}, "chat")
    shown = f"{client!r} {client.to_json()} {client.to_dict()} {client.for_agent('a')!r}"
    assert "canary" not in shown
    assert json.loads(client.to_json())["candidates"] == ["chat", "storing", "own"]
    assert json.loads(client.to_json())["incumbent"] == "chat"


async def test_the_frameworks_own_arguments_reach_its_layers(routed: Routed) -> None:
    seen: list[Any] = []

    async def noting(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        seen.append(context.client)
        await call_next()

    client = routed(
        middleware=[noting, watching],
        function_invocation_configuration={"max_iterations": 3},
        additional_properties={"team": "a"},
        otel_provider_name="ours",
    )
    await client.get_response(said("Hello"))
    assert seen == [client]
    assert client.function_middleware == [watching]
    assert client.function_invocation_configuration["max_iterations"] == 3
    assert client.additional_properties == {"team": "a"}
    assert client.otel_provider_name == "ours"
    assert isinstance(client, BaseChatClient)


def test_nothing_is_made_of_what_is_shown(routed: Routed) -> None:
    """Its ids would be taken for LiteLLM strings."""
    client = routed()
    with pytest.raises(TypeError, match="cannot be made from what to_dict"):
        RoutedChatClient.from_dict(client.to_dict())
    with pytest.raises(TypeError, match="cannot be made from what to_dict"):
        RoutedChatClient.from_json(client.to_json())


def test_pickling_is_refused_with_a_reason(routed: Routed) -> None:
    with pytest.raises(TypeError, match="a RoutedChatClient cannot be pickled"):
        pickle.dumps(routed())
