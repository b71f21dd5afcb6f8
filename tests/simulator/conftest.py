"""Simulated servers and clients for the tests: real HTTP over loopback, no waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import openai
import pytest

from taskrouter.simulator import RunningServer, serve

ASK = [{"role": "user", "content": "Plan a trip: book flights, find a hotel and choose museums."}]
MODEL = {"id": "m", "input_usd_per_million": 1.0, "output_usd_per_million": 2.0}


@pytest.fixture(scope="session")
def shared() -> Iterator[RunningServer]:
    models = [
        {**MODEL, "max_output_tokens": 1_000},
        {**MODEL, "id": "seeing", "vision": True},
        {**MODEL, "id": "plain", "tools": False, "json_schema": False},
        {**MODEL, "id": "narrow", "context_tokens": 50},
    ]
    with serve({"speed": 0, "models": models}) as server:
        yield server


@pytest.fixture
def sim(shared: RunningServer) -> RunningServer:
    """Return the server that most tests share, as if just started."""
    shared.reset()
    return shared


@pytest.fixture
def start() -> Iterator[Callable[..., RunningServer]]:
    """Start a server with one model; keyword arguments set the model's fields, `top` those of the server."""
    with ExitStack() as stack:

        def begin(*, top: dict[str, Any] | None = None, **model: Any) -> RunningServer:
            return stack.enter_context(serve({"speed": 0, **(top or {}), "models": [{**MODEL, **model}]}))

        yield begin


@pytest.fixture
def client_of() -> Iterator[Callable[..., openai.OpenAI]]:
    """Return OpenAI clients that do not retry, closed at the end."""
    with ExitStack() as stack:

        def connect(server: RunningServer, **options: Any) -> openai.OpenAI:
            client = openai.OpenAI(base_url=server.base_url, api_key="any", **{"max_retries": 0, **options})
            return stack.enter_context(client)

        yield connect


@pytest.fixture(scope="session")
def _connections(shared: RunningServer) -> Iterator[tuple[openai.OpenAI, httpx.Client]]:
    with (
        openai.OpenAI(base_url=shared.base_url, api_key="any", max_retries=0) as client,
        httpx.Client(base_url=shared.url) as http,
    ):
        yield client, http


@pytest.fixture
def client(sim: RunningServer, _connections: tuple[openai.OpenAI, httpx.Client]) -> openai.OpenAI:
    return _connections[0]


@pytest.fixture
def http(sim: RunningServer, _connections: tuple[openai.OpenAI, httpx.Client]) -> httpx.Client:
    return _connections[1]


@pytest.fixture
def faulty(sim: RunningServer, client: openai.OpenAI) -> Callable[..., Any]:
    """Return a call whose next request meets the named fault."""

    def call(fault: Any, **fields: Any) -> Any:
        sim.script("m", fault)
        asked: dict[str, Any] = {"model": "m", "messages": ASK, **fields}
        return client.chat.completions.create(**asked)

    return call


def body(**fields: Any) -> dict[str, Any]:
    """Return a request body; keyword arguments override its fields."""
    return {"model": "m", "messages": [{"role": "user", "content": "What is 6 * 7?"}], **fields}


def tool(name: str = "get_weather", **parameters: Any) -> dict[str, Any]:
    schema = parameters or {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city"],
    }
    return {"type": "function", "function": {"name": name, "description": f"{name} tool", "parameters": schema}}


@pytest.fixture(name="body")
def _body() -> Callable[..., dict[str, Any]]:
    return body


@pytest.fixture(name="tool")
def _tool() -> Callable[..., dict[str, Any]]:
    return tool
