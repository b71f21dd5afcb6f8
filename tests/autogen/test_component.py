"""The routed client as a component: written down without its keys, and read again."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from autogen_core import ComponentModel
from autogen_core.models import ChatCompletionClient, ModelInfo
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient
from pydantic import SecretStr, ValidationError
from tests.autogen.models import ANTHROPIC, OPENAI, anthropic, info, openai, openai_at
from tests.standins import Vendors

from autogen_taskrouter import RoutedChatCompletionClient
from taskrouter import ConfigurationError, ModelCard, Router

from .conftest import QUESTION, Routed

KEY = "sk-canary-4711"


def through_json(component: ComponentModel) -> Any:
    return json.loads(component.model_dump_json())


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")


def native(**config: Any) -> dict[str, Any]:
    """Return a client of OpenAI's in JSON."""
    provider = "autogen_ext.models.openai.OpenAIChatCompletionClient"
    return {"provider": provider, "config": {"model": OPENAI, "model_info": info(), **config}}


def loaded(**config: Any) -> RoutedChatCompletionClient:
    component = {"provider": "autogen_taskrouter.RoutedChatCompletionClient", "config": config}
    client = ChatCompletionClient.load_component(component)
    assert isinstance(client, RoutedChatCompletionClient)
    return client


async def test_what_was_dumped_is_loaded_again(vendors: Vendors) -> None:
    client = RoutedChatCompletionClient(
        {"small": openai(vendors), "large": anthropic(vendors)},
        "small",
        {"cost": 1.0},
        config={"models": [{"id": "small", "input_usd_per_million": 0.5}], "budget": {"run": {"usd": 1.0}}},
        timeout=7,
        max_retries=0,
        credit=False,
        model_info={"vision": False},
    ).for_agent("planner", tags=["b", "a"])
    component = client.dump_component()
    assert component.provider == "autogen_taskrouter.RoutedChatCompletionClient"
    assert component.component_type == "model"
    again = ChatCompletionClient.load_component(through_json(component))
    assert isinstance(again, RoutedChatCompletionClient)
    assert again.dump_component() == component
    assert again.router.models == client.router.models
    assert (again.router.policy, again.router.execution) == (client.router.policy, client.router.execution)
    assert again.model_info == client.model_info
    assert (await again.create([QUESTION])).taskrouter["model"] == "small"


def test_no_secret_is_written(vendors: Vendors) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "x-api-key": KEY, "X-Team": "blue"}
    table = {"model": "openai/gpt-4o", "api_key": "env:SOME_KEY", "params": {"api_key": KEY, "max_tokens": 5}}
    client = RoutedChatCompletionClient(
        {"a": openai(vendors, api_key=KEY, default_headers=headers), "b": anthropic(vendors, api_key=KEY), "c": table},
        "a",
    )
    component = client.dump_component()
    written = component.model_dump_json() + str(component.model_dump()) + repr(component)
    assert KEY not in written
    assert "**********" not in written
    assert "blue" in written
    assert "env:SOME_KEY" in written
    assert component.config["candidates"]["c"]["params"] == {"max_tokens": 5}


def test_strings_and_tables_stay_as_they_are() -> None:
    candidates: dict[str, Any] = {"a": "openai/gpt-4o", "b": {"model": "openai/gpt-4o-mini", "tier": "small"}}
    client = RoutedChatCompletionClient(candidates, "a")
    assert client.dump_component().config["candidates"] == candidates
    assert loaded(**through_json(client.dump_component())["config"]).dump_component() == client.dump_component()


def test_a_card_is_written_as_a_table() -> None:
    card = ModelCard(id="c", model="openai/gpt-4o", tags=frozenset({"eu"}), input_usd_per_million=2.5)
    client = RoutedChatCompletionClient({"c": card})
    again = loaded(**through_json(client.dump_component())["config"])
    assert again.router.models == client.router.models


def test_a_list_may_stand_in_a_file() -> None:
    client = loaded(candidates=[native(), "openai/gpt-4o"], incumbent=OPENAI)
    assert list(client.router.models) == [OPENAI, "openai/gpt-4o"]


def test_a_short_name_of_a_provider_is_understood() -> None:
    client = loaded(candidates={"a": {**native(), "provider": "OpenAIChatCompletionClient"}})
    assert list(client.router.models) == ["a"]


def test_a_wrapped_client_travels_with_what_it_wraps(vendors: Vendors) -> None:
    client = RoutedChatCompletionClient({"cached": ChatCompletionCache(openai(vendors, api_key=KEY))})
    component = client.dump_component()
    assert KEY not in component.model_dump_json()
    assert loaded(**through_json(component)["config"]).dump_component() == component


@pytest.mark.parametrize("place", ["api_key", "deep"])
def test_a_masked_key_is_refused(place: str) -> None:
    masked = native(api_key="**********")
    if place == "deep":
        masked = {"provider": "autogen_ext.models.cache.ChatCompletionCache", "config": {"client": masked}}
    with pytest.raises(ConfigurationError, match=r"candidates\['a'\]: .*api_key is masked.*OPENAI_API_KEY"):
        loaded(candidates={"a": masked})
    with pytest.raises(ConfigurationError, match=r"candidates\['t'\]: api_key is masked"):
        loaded(candidates={"t": {"model": "openai/gpt-4o", "api_key": "**********"}})
    with pytest.raises(ConfigurationError, match=r"candidates\[0\]: deployments\[1\]\.api_key is masked"):
        loaded(candidates=[{"model": "x", "deployments": [{"name": "a"}, {"name": "b", "api_key": "**********"}]}])
    with pytest.raises(ConfigurationError, match="api_key is masked"):
        loaded(candidates={"a": native(api_key=SecretStr("**********"))})


@pytest.mark.parametrize(
    "provider", ["Nonsense", "no_such_package.Client", "autogen_ext.models.openai.Nothing", "json.JSONDecoder"]
)
def test_a_provider_that_is_none_is_named(provider: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"candidates\['a'\]: the provider '{provider}' could not be loaded"):
        loaded(candidates={"a": {"provider": provider, "config": {}}})


def test_a_wrong_key_of_a_candidate_is_named_and_not_quoted() -> None:
    with pytest.raises(ConfigurationError, match=r"candidates\['a'\]: timeout: .*number") as caught:
        loaded(candidates={"a": native(timeout=KEY)})
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_unknown_key_is_named_and_not_quoted() -> None:
    with pytest.raises(ValidationError, match="polciy") as caught:
        loaded(candidates={"a": native()}, polciy=KEY)
    assert KEY not in str(caught.value)
    with pytest.raises(ConfigurationError, match="unknown key 'executoin'"):
        loaded(candidates={"a": native()}, config={"executoin": {}})


def test_a_shared_router_is_not_written(routed: Routed) -> None:
    with pytest.raises(ConfigurationError, match="with a shared router cannot be dumped"):
        routed(router=routed().router).dump_component()


def test_a_shared_router_within_is_not_written(vendors: Vendors) -> None:
    router = Router([{"id": OPENAI}], OPENAI)
    inner = RoutedChatCompletionClient([openai(vendors)], router=router)
    with pytest.raises(ConfigurationError, match=r"candidates\['inner'\]: .*shared router"):
        RoutedChatCompletionClient({"inner": inner}).dump_component()


@pytest.mark.parametrize("name", ["apikey", "accessToken", "X-Auth", "X-Secret", "Ocp-Apim-Subscription-Key"])
def test_a_key_is_known_by_its_name(vendors: Vendors, name: str) -> None:
    client = RoutedChatCompletionClient([openai(vendors, default_headers={name: KEY, "x-team": "blue"})])
    written = client.dump_component().model_dump_json()
    assert KEY not in written
    assert "blue" in written


def test_a_key_is_known_by_its_scheme(vendors: Vendors) -> None:
    client = RoutedChatCompletionClient([openai(vendors, default_headers={"x-gateway": f"Bearer {KEY}"})])
    assert KEY not in client.dump_component().model_dump_json()


@pytest.mark.parametrize("address", [f"https://user:{KEY}@house.example/v1", f"https://house.example/v1?api_key={KEY}"])
def test_an_address_with_a_key_is_not_written(address: str) -> None:
    for candidate in (openai_at(address), {"model": "house", "base_url": address}):
        client = RoutedChatCompletionClient({"house": candidate})
        with pytest.raises(
            ConfigurationError, match=r"candidates\['house'\]\.base_url is an address with a key"
        ) as caught:
            client.dump_component()
        assert KEY not in str(caught.value)


def test_a_client_that_lacks_a_package_to_be_written_down_is_named() -> None:
    class Lacking(ReplayChatCompletionClient):
        def _to_config(self) -> Any:
            raise ImportError("azure")

    with pytest.raises(ConfigurationError, match=r"candidates\['a'\]: a Lacking cannot be dumped"):
        RoutedChatCompletionClient({"a": Lacking([])}).dump_component()


def test_a_password_of_the_state_is_not_written(vendors: Vendors) -> None:
    config = {"state": {"url": f"redis://user:{KEY}@127.0.0.1:9/0"}}
    client = RoutedChatCompletionClient([openai(vendors)], config=config)
    with pytest.raises(ConfigurationError, match=r"state\.url holds a password") as caught:
        client.dump_component()
    assert KEY not in str(caught.value)


def test_what_is_no_component_is_named() -> None:
    class Homemade(OpenAIChatCompletionClient):
        component_provider_override = None  # type: ignore[assignment] # AutoGen's default

    client = RoutedChatCompletionClient({"own": Homemade(model=OPENAI, model_info=ModelInfo(**info()))})
    with pytest.raises(ConfigurationError, match=r"candidates\['own'\]: a Homemade cannot be dumped"):
        client.dump_component()


# --- copies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_has_the_same_router(routed: Routed, copied: Any) -> None:
    client = routed()
    assert copied(client).router is client.router


async def test_a_pickled_client_is_made_anew(vendors: Vendors) -> None:
    client = RoutedChatCompletionClient([openai(vendors), "openai/gpt-4o"], OPENAI).for_agent("planner")
    again = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own
    assert again.router is not client.router
    assert list(again.router.models) == [OPENAI, "openai/gpt-4o"]
    assert again.dump_component() == client.dump_component()
    assert (await again.create([QUESTION])).taskrouter["model"] == OPENAI


def test_a_client_with_a_shared_router_is_not_pickled(vendors: Vendors) -> None:
    router = Router([{"id": OPENAI}, {"id": ANTHROPIC}], OPENAI)
    client = RoutedChatCompletionClient([openai(vendors), anthropic(vendors)], router=router)
    with pytest.raises(TypeError, match="shared router cannot be pickled"):
        pickle.dumps(client)
