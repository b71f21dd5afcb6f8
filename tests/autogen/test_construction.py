"""What a routed client is made from, what it refuses, and what it says of itself."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from typing import Any

import httpx
import pytest
from autogen_core.models import ChatCompletionClient, ModelFamily, RequestUsage, UserMessage
from autogen_ext.models.openai import BaseOpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient
from openai import AsyncOpenAI
from pydantic import BaseModel
from tests.autogen.models import ANTHROPIC, OPENAI, anthropic, info, openai, openai_at
from tests.standins import Vendors

import autogen_taskrouter
from autogen_taskrouter import RoutedChatCompletionClient
from taskrouter import ConfigurationError, ModelCard, Router
from taskrouter.errors import AllAttemptsFailedError, StreamBroken
from taskrouter.simulator import RunningServer

from .conftest import GREETING, QUESTION, Routed, asked, streamed, text_of


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "candidates is empty: give a model client or more"),
        ({"candidates": {"a": object()}}, r"candidates\['a'\] is a object; it must be a ChatCompletionClient"),
        ({"candidates": "gpt-4o"}, "not a str"),
        ({"candidates": ["openai:gpt-4o"]}, "a LiteLLM model string, such as 'openai/gpt-4o'"),
        ({"incumbent": "nobody"}, "nobody"),
        ({"polciy": "safe"}, "has no argument 'polciy'; did you mean 'policy'?"),
        ({"temperature": 1}, "has no argument 'temperature'; give it to the candidates"),
        ({"timeout": -1}, "execution: 'timeout_s': must be greater than 0"),
        ({"config": {"models": [{"id": "other"}]}}, "'other' is no candidate"),
        ({"model_info": {"function_caling": True}}, "model_info: unknown key 'function_caling'"),
        ({"router": "x"}, "router is a str"),
    ],
)
def test_what_is_wrong_is_named(vendors: Vendors, given: Any, problem: str) -> None:
    arguments = {"candidates": [openai(vendors), anthropic(vendors)], "incumbent": OPENAI}
    with pytest.raises(ConfigurationError, match=problem):
        RoutedChatCompletionClient(**({**arguments, **given} if given else {}))


def test_one_client_is_no_collection(vendors: Vendors) -> None:
    with pytest.raises(ConfigurationError, match="not a OpenAIChatCompletionClient"):
        RoutedChatCompletionClient(openai(vendors))  # type: ignore[arg-type] # what is refused


def test_an_id_is_taken_once(vendors: Vendors) -> None:
    with pytest.raises(ConfigurationError, match=f"the id {OPENAI!r} is taken twice"):
        RoutedChatCompletionClient([openai(vendors), openai(vendors)])


def test_candidates_of_a_list_are_named_after_their_models(routed: Routed) -> None:
    client = routed()
    assert list(client.router.models) == [OPENAI, ANTHROPIC]
    assert [model.model for model in client.router.models.values()] == [f"openai/{OPENAI}", f"anthropic/{ANTHROPIC}"]
    assert repr(client) == f"RoutedChatCompletionClient({OPENAI}, {ANTHROPIC}; incumbent={OPENAI!r})"


def test_other_providers_behind_openais_client_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "any")
    client = RoutedChatCompletionClient([openai_at("http://127.0.0.1:9/v1", model="gemini-2.5-flash")])
    assert client.router.models["gemini-2.5-flash"].model == "gemini/gemini-2.5-flash"


async def test_a_table_and_a_card_are_called_through_the_routers_backends(
    server: RunningServer, pool: list[dict[str, Any]]
) -> None:
    first, second = pool
    card = ModelCard(id="c", model="openai/gpt-4o")
    client = RoutedChatCompletionClient({"first": first, "second": second, "card": card}, "first", max_retries=0)
    assert (await client.create([QUESTION])).taskrouter["model"] == "first"
    server.script("first", "server_error")
    chunks = await streamed(client)
    assert text_of(chunks) == chunks[-1].content
    assert chunks[-1].taskrouter["model"] == "second"
    assert chunks[-1].usage.completion_tokens > 0
    assert client.model_info["function_calling"]


async def test_a_table_takes_tools_and_schemas_and_its_stream_may_break(
    server: RunningServer, pool: list[dict[str, Any]], weather: Any
) -> None:

    client = RoutedChatCompletionClient({"first": pool[0]}, max_retries=0)
    question = UserMessage(content="What is the weather in Paris? Use get_weather.", source="user")
    called = await client.create([question], tools=[weather], tool_choice=weather)
    assert called.finish_reason == "function_calls"
    assert (await streamed(client, [question], tools=[weather], tool_choice="required"))[-1].content
    server.script("first", "drop_connection")
    with pytest.raises(StreamBroken):
        await streamed(client)


async def test_a_table_is_asked_for_json_as_it_can_be(vendors: Vendors) -> None:
    class Sum(BaseModel):
        total: int

    able = {"tools": True, "json_schema": True}
    table = {"model": OPENAI, "base_url": vendors.openai_url, "capabilities": able, "context_tokens": 128_000}
    client = RoutedChatCompletionClient({"first": table}, max_retries=0)
    question = UserMessage(content="What is the 'total' of 12 and 12? Answer in json.", source="user")
    assert isinstance(Sum.model_validate_json(str((await client.create([question], json_output=Sum)).content)), Sum)
    assert (await client.create([question], json_output=True)).content
    assert (await client.create([question], extra_create_args={"response_format": Sum})).content
    formats = [request.body["response_format"]["type"] for request in vendors.received]
    assert formats == ["json_schema", "json_object", "json_schema"]
    assert client.model_info["structured_output"]
    inner = client._setup.pool["first"].client
    assert inner.total_usage() == inner.actual_usage() == RequestUsage(prompt_tokens=0, completion_tokens=0)
    assert inner.capabilities == inner.model_info
    assert inner.remaining_tokens([question]) == 128_000 - inner.count_tokens([question])
    await client.close()


async def test_an_http_client_of_the_users_is_left_alone(vendors: Vendors) -> None:
    async with httpx.AsyncClient(headers={"x-own": "yes"}) as http:
        client = RoutedChatCompletionClient([openai(vendors, http_client=http)], max_retries=0)
        assert (await client.create([QUESTION])).content == GREETING
        vendors.fail(OPENAI, "error")
        with pytest.raises(AllAttemptsFailedError):
            await client.create([QUESTION])
        await client.close()
        assert not http.is_closed
    assert asked(vendors) == [OPENAI, OPENAI]


async def test_an_sdk_client_of_the_users_keeps_its_connections(vendors: Vendors) -> None:
    """Proxies and certificates are in them."""

    class Own(BaseOpenAIChatCompletionClient):
        pass

    sent: list[str] = []

    async def keep(request: httpx.Request) -> None:
        sent.append(request.url.path)

    async with httpx.AsyncClient(event_hooks={"request": [keep]}) as http:
        sdk = AsyncOpenAI(api_key="any", base_url=vendors.openai_url, http_client=http)
        client = RoutedChatCompletionClient([Own(sdk, create_args={"model": OPENAI}, model_info=info())])
        assert (await client.create([QUESTION])).content == GREETING
        await client.close()
        assert not http.is_closed
    assert sent == ["/v1/chat/completions"]


def test_a_key_in_an_address_is_not_in_a_card() -> None:
    client = RoutedChatCompletionClient({"a": openai_at("http://user:sk-canary@127.0.0.1:9/v1?api_key=sk-canary")})
    assert client.router.models["a"].base_url == "http://127.0.0.1:9/v1"
    assert "sk-canary" not in repr(client.router.models)


@pytest.mark.parametrize("name", [1, "", None])
def test_an_id_is_text(vendors: Vendors, name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"candidates\[.*\]: an id is a text"):
        RoutedChatCompletionClient({name: openai(vendors)})


def test_a_client_that_does_not_describe_its_model_is_named() -> None:
    class Mute(ReplayChatCompletionClient):
        @property
        def model_info(self) -> Any:
            return None

    with pytest.raises(ConfigurationError, match=r"candidates\['mute'\]: model_info of the Mute is no ModelInfo"):
        RoutedChatCompletionClient({"mute": Mute([])})


def test_several_clients_may_share_a_router(routed: Routed) -> None:
    router = routed().router
    careful, thrifty = routed(router=router), routed(router=router, policy="economy")
    assert careful.router is thrifty.router
    with pytest.raises(ConfigurationError, match="timeout and max_retries are the router's"):
        routed(router=router, timeout=3)


async def test_a_policy_beside_a_shared_router_holds_for_this_client(routed: Routed, vendors: Vendors) -> None:
    able = {"capabilities": {"tools": True}}
    cheap = {"input_usd_per_million": 0.01, "output_usd_per_million": 0.01}
    dear = {"input_usd_per_million": 10.0, "output_usd_per_million": 10.0}
    router = Router([{"id": OPENAI, **able, **dear}, {"id": ANTHROPIC, **able, **cheap}], OPENAI)
    usual, thrifty = routed(router=router), routed(router=router, policy={"cost": 1.0})
    await usual.create([QUESTION])
    await thrifty.create([QUESTION])
    assert asked(vendors) == [OPENAI, ANTHROPIC]


# --- model_info ---------------------------------------------------------------------------------------------------


def described(*infos: Any, **given: Any) -> Any:
    clients = {str(place): ReplayChatCompletionClient(["x"], one) for place, one in enumerate(infos)}
    return RoutedChatCompletionClient(clients, "0", **given).model_info


def test_what_one_candidate_can_do_is_offered() -> None:
    less = info(vision=False, function_calling=False, structured_output=False)
    assert described(less, info()) == {**info(), "family": ModelFamily.UNKNOWN}
    assert described(less, less)["vision"] is False


def test_how_to_write_to_them_is_what_all_take() -> None:
    assert described(info(), info(multiple_system_messages=False))["multiple_system_messages"] is False
    assert described(info(family=ModelFamily.GPT_4O), info(family=ModelFamily.GPT_4O))["family"] == ModelFamily.GPT_4O
    assert described(info(family=ModelFamily.GPT_4O), info(family=ModelFamily.O3))["family"] == ModelFamily.UNKNOWN


def test_the_user_may_say_otherwise() -> None:
    told = described(info(), info(vision=False), model_info={"vision": False, "family": "claude"})
    assert (told["vision"], told["family"], told["function_calling"]) == (False, "claude", True)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("x", "is a str"),
        ({"vison": True}, "unknown key"),
        ({"vision": "no"}, "vision is a str"),
        ({"family": 4}, "text"),
    ],
)
def test_what_the_user_says_is_checked(said: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"model_info.*{problem}"):
        described(info(), model_info=said)


def test_clients_that_refuse_no_scattered_instructions_are_not_said_to() -> None:
    """AutoGen's memory puts one at the end; only clients of OpenAI's and Anthropic's kind raise at it."""
    silent: Any = {key: value for key, value in info().items() if key != "multiple_system_messages"}
    assert described(silent)["multiple_system_messages"] is True
    assert described(info(multiple_system_messages=False))["multiple_system_messages"] is False


def test_capabilities_are_the_same_and_deprecated(routed: Routed) -> None:
    client = routed()
    with pytest.warns(DeprecationWarning, match="use model_info instead"):
        assert client.capabilities == client.model_info


# --- loops and threads --------------------------------------------------------------------------------------------


def test_one_client_serves_one_event_loop_after_the_other(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    for _ in range(3):
        assert asyncio.run(client.create([QUESTION])).content == GREETING
        assert text_of(asyncio.run(streamed(client))) == GREETING
    assert asked(vendors) == [OPENAI] * 6


def test_threads_may_share_a_client(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    said: list[Any] = []

    def work() -> None:
        said.extend(asyncio.run(client.create([QUESTION])).taskrouter["status"] for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["ok"] * 24
    assert asked(vendors) == [OPENAI] * 24


async def test_a_closed_client_opens_new_connections(routed: Routed) -> None:
    client = routed()
    await client.create([QUESTION])
    await client.close()
    assert (await client.create([QUESTION])).content == GREETING


async def test_what_is_used_as_it_is_is_closed_too() -> None:
    class Closing(ReplayChatCompletionClient):
        closed = False

        async def close(self) -> None:
            self.closed = True

    own = Closing(["x"])
    await RoutedChatCompletionClient({"own": own}).close()
    assert own.closed


# --- the package --------------------------------------------------------------------------------------------------


def test_the_package_loads_no_framework_before_it_is_used() -> None:
    heavy = ("autogen_core", "autogen_ext", "openai", "anthropic", "litellm", "agent_framework")
    code = f"import sys, autogen_taskrouter; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_client_loads_no_provider() -> None:
    heavy = ("autogen_ext", "openai", "anthropic", "litellm", "tiktoken", "agent_framework")
    code = f"import sys; from autogen_taskrouter import *; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_package_offers_what_it_says() -> None:
    assert autogen_taskrouter.__all__ == sorted(autogen_taskrouter.__all__)
    assert all(hasattr(autogen_taskrouter, name) for name in autogen_taskrouter.__all__)
    assert issubclass(RoutedChatCompletionClient, ChatCompletionClient)
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        autogen_taskrouter.Other  # noqa: B018 - the access is what fails


async def test_no_word_goes_elsewhere(routed: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting tokens with AutoGen's own clients would fetch an encoding."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    client = routed()
    assert client.count_tokens([QUESTION]) > 0
    assert client.remaining_tokens([QUESTION]) > 0
