"""Who cancels gets a `CancelledError`, the connection is closed, and no further request is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from autogen_core import CancellationToken
from autogen_ext.models.replay import ReplayChatCompletionClient
from tests.autogen.models import ANTHROPIC, OPENAI
from tests.standins import Vendors

from autogen_taskrouter import RoutedChatCompletionClient

from .conftest import QUESTION, Alarm, Routed, Routers, asked, streamed

Ask = Callable[..., Coroutine[Any, Any, Any]]


async def created(client: RoutedChatCompletionClient, **options: Any) -> Any:
    return await client.create([QUESTION], **options)


ASKS = pytest.mark.parametrize("ask", [created, streamed])
FIRST = pytest.mark.parametrize("first", [OPENAI, ANTHROPIC])


@ASKS
@FIRST
async def test_a_token_cancels_the_call_under_way(
    routed: Routed, router_of: Routers, vendors: Vendors, watcher: Alarm, ask: Ask, first: str
) -> None:
    client, token = routed(router=router_of(router={"incumbent": first})), CancellationToken()
    with vendors.holding(first) as gate:
        call = asyncio.create_task(ask(client, cancellation_token=token))
        assert await asyncio.to_thread(gate.reached.wait, 5)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(gate.left.wait, 5)
    assert asked(vendors) == [first]
    assert [attempt.status for attempt in watcher.attempts] == ["cancelled"]


@ASKS
@FIRST
async def test_a_cancelled_task_is_not_followed_by_another_call(
    routed: Routed, router_of: Routers, vendors: Vendors, watcher: Alarm, ask: Ask, first: str
) -> None:
    client = routed(router=router_of(router={"incumbent": first}))
    with vendors.holding(first, at_open=True) as gate:
        call = asyncio.create_task(ask(client))
        assert await asyncio.to_thread(gate.reached.wait, 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(gate.left.wait, 5)
    assert asked(vendors) == [first]
    assert [attempt.status for attempt in watcher.attempts] == ["cancelled"]


@ASKS
async def test_a_cancelled_token_sends_nothing(routed: Routed, vendors: Vendors, ask: Ask) -> None:
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ask(routed(), cancellation_token=token)
    assert not vendors.received


@ASKS
async def test_a_token_cancels_the_pause_before_another_attempt(
    routed: Routed, router_of: Routers, vendors: Vendors, watcher: Alarm, ask: Ask
) -> None:
    router = router_of(execution={"retries": 3, "backoff_base_s": 60.0, "backoff_max_s": 60.0})
    client, token = routed(router=router), CancellationToken()
    vendors.fail(OPENAI, "unavailable")
    call = asyncio.create_task(ask(client, cancellation_token=token))
    await watcher.attempted.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 10)
    assert asked(vendors) == [OPENAI]


async def test_the_callers_task_can_go_on_after_its_token_was_used(routed: Routed, vendors: Vendors) -> None:
    client, token = routed(), CancellationToken()
    task = asyncio.current_task()
    assert task is not None
    with vendors.holding(OPENAI) as gate:
        asyncio.get_running_loop().run_in_executor(None, gate.reached.wait, 5).add_done_callback(
            lambda _: token.cancel()
        )
        with pytest.raises(asyncio.CancelledError):
            await client.create([QUESTION], cancellation_token=token)
    assert task.cancelling() == 0
    assert (await client.create([QUESTION])).content


async def test_a_client_that_ignores_its_token_is_cancelled_too() -> None:
    class Deaf(ReplayChatCompletionClient):
        async def create(self, *_: Any, **__: Any) -> Any:
            started.set()
            await asyncio.Event().wait()

    started, token = asyncio.Event(), CancellationToken()
    client = RoutedChatCompletionClient({"deaf": Deaf(["never"])})
    call = asyncio.create_task(client.create([QUESTION], cancellation_token=token))
    await started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)


async def test_a_client_that_answers_though_it_was_cancelled_is_not_heard() -> None:
    class Stubborn(ReplayChatCompletionClient):
        async def create(self, *said: Any, **more: Any) -> Any:
            started.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return await super().create(*said, **more)

    started, token = asyncio.Event(), CancellationToken()
    client = RoutedChatCompletionClient({"stubborn": Stubborn(["too late"])})
    call = asyncio.create_task(client.create([QUESTION], cancellation_token=token))
    await started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)


async def test_a_token_that_is_used_between_two_chunks_ends_the_stream(routed: Routed) -> None:
    token = CancellationToken()
    stream = routed().create_stream([QUESTION], cancellation_token=token)
    await anext(stream)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(stream)
