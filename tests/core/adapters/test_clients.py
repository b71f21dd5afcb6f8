"""Clients of OpenAI's and Anthropic's SDKs as routing needs them: no retries, one set per loop, streams that close."""

from __future__ import annotations

import asyncio
import gc
import inspect
import re
from collections.abc import Iterator
from contextlib import aclosing, closing
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.standins import Vendors
from tests.standins.brain import GREETING

from taskrouter.adapters import (
    ANSWERS,
    LoopClients,
    ahanging_up,
    fresh,
    hanging_up,
    has_usual_connections,
    is_sdk_client,
    without_retries,
)

MODELS = {"openai": "gpt-4.1-mini", "anthropic": "claude-haiku-4-5"}
ASKED: Any = [{"role": "user", "content": "Hello"}]
PATIENCE_S = 10
CLIENTS = [openai.OpenAI, openai.AsyncOpenAI, anthropic.Anthropic, anthropic.AsyncAnthropic]


def client_of(vendors: Vendors, sdk: str, *, asynchronous: bool = False, **options: Any) -> Any:
    given = {"api_key": "any", "max_retries": 2, **options}
    if sdk == "openai":
        return (openai.AsyncOpenAI if asynchronous else openai.OpenAI)(base_url=vendors.openai_url, **given)
    return (anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic)(base_url=vendors.url, **given)


def ask(client: Any, **more: Any) -> Any:
    """Ask with a client of either SDK; the answer of an asynchronous one is to be awaited."""
    if isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        return client.chat.completions.create(model=MODELS["openai"], messages=ASKED, **more)
    return client.messages.create(model=MODELS["anthropic"], messages=ASKED, max_tokens=100, **more)


def text_of(answer: Any) -> str:
    found = answer.choices[0].message.content if hasattr(answer, "choices") else answer.content[0].text
    return str(found)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda cls: cls.__name__)
def test_all_calls_of_an_sdk_go_through_request(client: Any) -> None:
    """A canary: what notes streams and answers stands in the place of this one method."""
    for verb in ("get", "post", "patch", "put", "delete"):
        assert re.search(r"\bself\.request\(", inspect.getsource(getattr(client, verb))), verb
    assert inspect.iscoroutinefunction(client.request) == client.__name__.startswith("Async")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda cls: cls.__name__)
def test_the_sdks_clients_are_known_and_others_are_not(client: Any) -> None:
    class Own(client):  # type: ignore[misc] # a class of the user's
        """Beneath an SDK's."""

    for cls in (client, Own):
        made = cls(api_key="any")
        assert is_sdk_client(made)
        assert has_usual_connections(made)
    for other in (None, object(), "client", httpx.Client):
        assert not is_sdk_client(other)
        assert not has_usual_connections(other)


@pytest.mark.parametrize("sdk", MODELS)
def test_a_client_without_retries_asks_once_over_the_same_connections(vendors: Vendors, sdk: str) -> None:
    with client_of(vendors, sdk) as client:
        copy = without_retries(client, timeout_s=7)
        assert copy._client is client._client
        assert (copy.max_retries, copy.timeout, client.max_retries) == (0, 7, 2)
        assert without_retries(client).timeout == client.timeout
        vendors.fail(MODELS[sdk], "unavailable")
        with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
            ask(copy)
        assert len(vendors.received) == 1


@pytest.mark.parametrize("sdk", MODELS)
async def test_a_fresh_client_has_connections_of_its_own(vendors: Vendors, sdk: str) -> None:
    with client_of(vendors, sdk) as client:
        own = fresh(client, max_retries=0)
        assert own._client is not client._client
        assert (own.max_retries, own.base_url) == (0, client.base_url)
        assert text_of(ask(own)) == GREETING
        own.close()
        assert text_of(ask(client)) == GREETING
    async with client_of(vendors, sdk, asynchronous=True) as aclient:
        aown = fresh(aclient)
        assert text_of(await ask(aown)) == GREETING
        await aown.close()
        assert not aclient.is_closed()


def test_connections_of_the_user_are_told_apart(vendors: Vendors) -> None:
    with httpx.Client() as own:
        assert not has_usual_connections(client_of(vendors, "openai", http_client=own))


@pytest.mark.parametrize("sdk", MODELS)
def test_a_reader_that_leaves_hangs_up(vendors: Vendors, sdk: str) -> None:
    with client_of(vendors, sdk) as client, vendors.holding(MODELS[sdk]) as gate:
        copy = without_retries(client)
        with closing(hanging_up(lambda: _chunks(ask(copy, stream=True)))) as chunks:
            next(chunks)
        assert gate.left.wait(PATIENCE_S)


@pytest.mark.parametrize("sdk", MODELS)
async def test_so_does_one_that_does_not_block(vendors: Vendors, sdk: str) -> None:
    async with client_of(vendors, sdk, asynchronous=True) as client:
        copy = without_retries(client)

        async def read() -> Any:
            async for chunk in await ask(copy, stream=True):
                yield chunk

        with vendors.holding(MODELS[sdk]) as gate:
            async with aclosing(ahanging_up(read)) as chunks:
                await anext(chunks)
            assert await asyncio.to_thread(gate.left.wait, PATIENCE_S)


def _chunks(stream: Any) -> Iterator[Any]:
    """Read a stream as integrations do, which leave it open behind them."""
    return (chunk for chunk in stream)


def test_nothing_is_opened_before_it_is_read() -> None:
    opened: list[str] = []

    def open_stream() -> Iterator[str]:
        opened.append("now")
        yield "chunk"

    chunks = hanging_up(open_stream)
    assert opened == []
    assert list(chunks) == ["chunk"]
    hanging_up(open_stream).close()
    assert opened == ["now"]


async def test_streams_that_are_awaited_first_are_read_too() -> None:
    async def numbers() -> Any:
        for number in range(3):
            yield number

    async def opening() -> Any:
        return numbers()

    assert [n async for n in ahanging_up(numbers)] == [n async for n in ahanging_up(opening)] == [0, 1, 2]


def test_a_stream_that_cannot_be_closed_changes_nothing(vendors: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    with client_of(vendors, "openai") as client:
        monkeypatch.setattr(openai.Stream, "close", lambda self: 1 / 0)
        assert len(list(hanging_up(lambda: ask(without_retries(client), stream=True)))) > 3
    gc.collect()


@pytest.mark.parametrize("sdk", MODELS)
async def test_whole_answers_are_noted_where_somebody_asks(vendors: Vendors, sdk: str) -> None:
    noted: list[Any] = []
    with client_of(vendors, sdk) as client:
        copy = without_retries(client)
        ask(copy)
        token = ANSWERS.set(noted)
        answer = ask(copy)
        list(ask(copy, stream=True))
        ANSWERS.reset(token)
        ask(copy)
    assert noted == [answer]
    async with client_of(vendors, sdk, asynchronous=True) as aclient:
        token = ANSWERS.set(noted)
        await ask(without_retries(aclient))
        ANSWERS.reset(token)
    assert len(noted) == 2


def test_an_instrumentation_that_comes_later_is_not_passed_over(
    vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = openai.OpenAI.request

    def instrumented(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append("request")
        return original(self, *args, **kwargs)

    with client_of(vendors, "openai") as client:
        copy = without_retries(client)
        monkeypatch.setattr(openai.OpenAI, "request", instrumented)
        ask(copy)
    assert seen == ["request"]


class Model:
    """A framework's model that holds a client."""

    def __init__(self, client: Any) -> None:
        self.client = client


@pytest.mark.parametrize("sdk", MODELS)
def test_every_loop_has_a_client_of_its_own_which_ends_with_it(vendors: Vendors, sdk: str) -> None:
    model = Model(client_of(vendors, sdk, asynchronous=True))
    clients: LoopClients[Model] = LoopClients(lambda held: held.client, lambda _, client: Model(client))
    seen: list[Any] = []

    async def work() -> None:
        for _ in range(2):
            own = await clients.get("a", model)
            assert own.client is not model.client
            assert text_of(await ask(own.client)) == GREETING
            seen.append(own.client)

    for _ in range(3):
        asyncio.run(work())
    assert len({id(client) for client in seen}) == 3
    assert all(client.is_closed() for client in seen)
    assert not model.client.is_closed()


async def test_a_model_without_such_a_client_is_used_as_it_is() -> None:
    model, asked = Model(None), []

    def client_of_model(held: Model) -> None:
        asked.append(held)

    clients: LoopClients[Model] = LoopClients(client_of_model, lambda _, client: Model(client))
    assert await clients.get("a", model) is model
    assert await clients.get("a", model) is model
    assert asked == [model], "it is asked for once"
    await clients.aclose()


async def test_closing_closes_those_of_the_running_loop(vendors: Vendors) -> None:
    model = Model(client_of(vendors, "openai", asynchronous=True))
    clients: LoopClients[Model] = LoopClients(lambda held: held.client, lambda _, client: Model(client))
    own = await clients.get("a", model)
    await clients.aclose()
    assert own.client.is_closed()
    again = await clients.get("a", model)
    assert again.client is not own.client
    await clients.aclose()
