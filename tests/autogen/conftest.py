"""AutoGen's real clients over the stand-ins, and a routed client over them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from autogen_core.models import CreateResult, UserMessage
from autogen_core.tools import FunctionTool
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.autogen.models import ANTHROPIC, OPENAI, anthropic, openai, openai_at
from tests.standins import Vendors
from tests.watcher import Watcher

from autogen_taskrouter import RoutedChatCompletionClient
from taskrouter import Attempt, Router, hookimpl

Routed = Callable[..., RoutedChatCompletionClient]
Routers = Callable[..., Router]

QUESTION = UserMessage(content="Hello", source="user")
GREETING = "Hello! What can I do for you today?"
FAST = {"retries": 0, "backoff_base_s": 0.001}
PRICES = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0}


class Alarm(Watcher):
    """Keeps what happened, and rings when an attempt has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.attempted = asyncio.Event()

    @hookimpl
    def taskrouter_attempted(self, attempt: Attempt) -> None:
        super().taskrouter_attempted(attempt)
        self.attempted.set()


class Traced:
    """Where spans go."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))


@pytest.fixture
def dead() -> Any:
    """A client of an address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return openai_at(f"http://127.0.0.1:{port}/v1")


@pytest.fixture
def routed(vendors: Vendors) -> Routed:
    """Make a routed client over both vendors' models; OpenAI's is the incumbent."""

    def make(**fields: Any) -> RoutedChatCompletionClient:
        config = {"execution": FAST, "models": [{"id": name, **PRICES} for name in (OPENAI, ANTHROPIC)]}
        given = {"candidates": [openai(vendors), anthropic(vendors)], "incumbent": OPENAI, "config": config}
        if fields.get("router") is not None:
            del given["config"], given["incumbent"]
        return RoutedChatCompletionClient(**{**given, **fields})

    return make


@pytest.fixture
def watcher() -> Alarm:
    return Alarm()


@pytest.fixture
def router_of(watcher: Watcher, traced: Traced) -> Routers:
    """Make a router for both models that is watched and traced; OpenAI's is the incumbent."""

    def make(**config: Any) -> Router:
        able = {"capabilities": {"tools": True, "json_schema": True}, "context_tokens": 128_000}
        models = [{"id": name, **PRICES, **able} for name in (OPENAI, ANTHROPIC)]
        given = {"execution": FAST, "router": {"incumbent": OPENAI}, **config}
        return Router(models, config=given, plugins=[watcher], tracer_provider=traced.provider)

    return make


@pytest.fixture
def traced() -> Traced:
    return Traced()


def get_weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"It is sunny in {city}."


def break_weather(city: str) -> str:
    """Look up the weather of a city, in vain."""
    raise RuntimeError(f"no weather in {city}")


@pytest.fixture
def weather() -> FunctionTool:
    return FunctionTool(get_weather, description="Look up the weather of a city.")


async def streamed(client: RoutedChatCompletionClient, messages: Any = (QUESTION,), **options: Any) -> list[Any]:
    """Read a stream to its end: its pieces of text, then its result."""
    return [chunk async for chunk in client.create_stream(messages, **options)]


def text_of(chunks: list[Any]) -> str:
    """Return what a stream has shown, after a look at its form."""
    *shown, result = chunks
    assert all(isinstance(chunk, str) for chunk in shown)
    assert isinstance(result, CreateResult)
    return "".join(shown)


def asked(vendors: Vendors) -> list[str]:
    """Return the models that were asked, in order."""
    return [request.model for request in vendors.received]
