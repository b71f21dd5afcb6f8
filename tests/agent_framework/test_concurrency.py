"""Loops, threads, tasks, cancellation: nothing local is taken for a provider's failure, and nothing goes on unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from agent_framework import Agent, BaseChatClient, ChatResponseUpdate, Content, FunctionTool
from agent_framework_openai import OpenAIChatClient, OpenAIChatCompletionClient
from openai import AsyncOpenAI
from tests.standins import Vendors
from tests.standins.brain import GREETING
from tests.watcher import Watcher

from autogen_taskrouter.agent_framework import RoutedChatClient
from taskrouter.errors import LocalFailure

from .conftest import CHAT, STORING, Clients, Routed, account, asked, said

CALLS = 16
OF = {"chat": CHAT, "storing": STORING}


async def ask(client: RoutedChatClient, *, stream: bool) -> str:
    if stream:
        return (await client.get_response(said("Hello"), stream=True).get_final_response()).text
    return (await client.get_response(said("Hello"))).text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("incumbent", ["chat", "storing"])
def test_every_event_loop_finds_the_client_ready(
    routed: Routed, vendors: Vendors, incumbent: str, *, stream: bool
) -> None:
    client = routed(incumbent)
    for _ in range(3):
        assert asyncio.run(ask(client, stream=stream)) == GREETING
    assert asked(vendors) == [OF[incumbent]] * 3


def test_every_event_loop_finds_azures_client_ready(routed: Routed, vendors: Vendors) -> None:
    azure = OpenAIChatClient(model=STORING, base_url=vendors.openai_url, credential=lambda: "token")
    client = routed(candidates={"chat": azure})
    for _ in range(3):
        assert asyncio.run(ask(client, stream=False)) == GREETING
    called: Any = asyncio.run(client._clients.get("chat", client._pool["chat"].client))
    own, copied = (one.client._client.event_hooks["request"] for one in (azure, called))
    assert own, "the framework's hook"
    assert len(copied) == len(own)
    assert called.client._client is not azure.client._client
    assert asked(vendors) == [STORING] * 3


@pytest.mark.parametrize("stream", [False, True])
def test_eight_threads_share_one_client(routed: Routed, watcher: Watcher, *, stream: bool) -> None:
    client = routed()
    with ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda _: asyncio.run(ask(client, stream=stream)), range(CALLS)))
    assert texts == [GREETING] * CALLS
    assert [attempt.status for attempt in watcher.attempts] == ["ok"] * CALLS


async def test_tasks_of_one_loop_share_one_client(routed: Routed, watcher: Watcher, weather: FunctionTool) -> None:
    client = routed()
    agent = Agent(client, tools=[weather])
    plain = [ask(client, stream=bool(number % 2)) for number in range(CALLS)]
    answers = await asyncio.gather(*plain, *(agent.run("The weather in Oslo?") for _ in range(CALLS)))
    assert answers[:CALLS] == [GREETING] * CALLS
    assert len({outcome.decision_id for outcome in watcher.outcomes}) == 3 * CALLS
    assert {attempt.status for attempt in watcher.attempts} == {"ok"}


def test_an_http_client_of_the_users_own_is_left_alone(vendors: Vendors) -> None:
    async def go() -> None:
        async with httpx.AsyncClient(headers={"x-own": "1"}) as own:
            sdk = AsyncOpenAI(base_url=vendors.openai_url, api_key="any", http_client=own)
            given = OpenAIChatCompletionClient(model=CHAT, async_client=sdk)
            client = RoutedChatClient({"chat": given})
            assert (await client.get_response(said("Hello"))).text == GREETING
            called: Any = await client._clients.get("chat", client._pool["chat"].client)
            assert called.client._client is own
            assert (called.client.max_retries, sdk.max_retries) == (0, 2)

    asyncio.run(go())
    assert asked(vendors) == [CHAT]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_on_this_side_is_no_providers_failure(
    routed: Routed, clients: Clients, vendors: Vendors, *, stream: bool
) -> None:
    async with httpx.AsyncClient() as own:
        sdk = AsyncOpenAI(base_url=vendors.openai_url, api_key="any", http_client=own)
    closed = OpenAIChatCompletionClient(model=CHAT, async_client=sdk)
    client = routed(candidates={"chat": closed, "storing": clients["storing"]})
    with pytest.raises(LocalFailure):
        await ask(client, stream=stream)
    assert asked(vendors) == []


async def test_a_client_can_be_closed_and_used_again(routed: Routed) -> None:
    client = routed()
    for _ in range(2):
        assert await ask(client, stream=False) == GREETING
        await client.aclose()


# --- who stops, stops all of it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_cancelled_call_hangs_up_and_is_not_followed_by_another(
    routed: Routed, vendors: Vendors, watcher: Watcher, incumbent: str, *, stream: bool
) -> None:
    with vendors.holding(OF[incumbent], at_open=True) as gate:
        call = asyncio.create_task(ask(routed(incumbent), stream=stream))
        assert await asyncio.to_thread(gate.reached.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(gate.left.wait, 10)
    assert asked(vendors) == [OF[incumbent]]
    assert [attempt.status for attempt in watcher.attempts] == ["cancelled"]


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_cancelled_agent_hangs_up(routed: Routed, vendors: Vendors, incumbent: str) -> None:
    with vendors.holding(OF[incumbent]) as gate:
        running = asyncio.create_task(_run(Agent(routed(incumbent))))
        assert await asyncio.to_thread(gate.reached.wait, 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await asyncio.to_thread(gate.left.wait, 10)
    assert asked(vendors) == [OF[incumbent]]


async def _run(agent: Any) -> None:
    await agent.run("Hello", stream=True).get_final_response()


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_reader_that_stops_early_hangs_up(
    routed: Routed, vendors: Vendors, watcher: Watcher, incumbent: str
) -> None:
    with vendors.holding(OF[incumbent]) as gate:
        async with routed(incumbent).get_response(said("Hello"), stream=True) as stream:
            async for update in stream:
                if update.text:
                    break
        assert await asyncio.to_thread(gate.left.wait, 10)
    assert asked(vendors) == [OF[incumbent]]
    assert [attempt.status for attempt in watcher.attempts] == ["cancelled"]


class Dropping(BaseChatClient[Any]):
    """A client that reads its SDK's stream and does not close it, as many integrations do."""

    def __init__(self, client: AsyncOpenAI) -> None:
        super().__init__()
        self.client, self.model = client, CHAT

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **_: Any) -> Any:
        assert stream
        return self._build_response_stream(self._updates())

    async def _updates(self) -> AsyncIterator[ChatResponseUpdate]:
        asked: Any = [{"role": "user", "content": "Hello"}]
        async for chunk in await self.client.chat.completions.create(model=CHAT, messages=asked, stream=True):
            yield ChatResponseUpdate(contents=[Content.from_text(chunk.choices[0].delta.content or "")])


async def test_a_client_that_drops_its_stream_hangs_up_all_the_same(routed: Routed, vendors: Vendors) -> None:
    dropping = Dropping(AsyncOpenAI(base_url=vendors.openai_url, api_key="any"))
    client = routed(candidates={"chat": dropping})
    with vendors.holding(CHAT) as gate:
        async with client.get_response(said("Hello"), stream=True) as stream:
            async for update in stream:
                if update.text:
                    break
        assert await asyncio.to_thread(gate.left.wait, 10)
    assert asked(vendors) == [CHAT]


async def test_a_call_that_takes_too_long_falls_back(routed: Routed, vendors: Vendors) -> None:
    client = routed(config={"execution": {"retries": 0, "timeout_s": 0.3}})
    with vendors.holding(CHAT) as gate:
        answer = await client.get_response(said("Hello"))
        assert await asyncio.to_thread(gate.left.wait, 10)
    assert account(answer)["model"] == "storing"
