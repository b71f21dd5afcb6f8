"""Real chat clients of OpenAI's two APIs over the stand-ins, and a routed client over both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from agent_framework import BaseChatClient, FunctionTool, Message, tool
from agent_framework_openai import OpenAIChatClient, OpenAIChatCompletionClient
from opentelemetry.sdk.trace import TracerProvider
from tests.standins import Vendors
from tests.watcher import Watcher

from autogen_taskrouter.agent_framework import RoutedChatClient
from taskrouter import Router

Routed = Callable[..., RoutedChatClient]
Clients = Mapping[str, BaseChatClient[Any]]

CHAT, STORING = "gpt-4.1-mini", "gpt-4o-mini"
"""The models' names: of chat completions, and of the Responses API, which stores what is said there."""
FACTS = {
    "input_usd_per_million": 1.0,
    "output_usd_per_million": 4.0,
    "capabilities": {"tools": True, "json_schema": True, "vision": True},
}


@pytest.fixture
def clients(vendors: Vendors) -> Clients:
    """The user's clients, as users make them: they retry."""
    return {
        "chat": OpenAIChatCompletionClient(model=CHAT, base_url=vendors.openai_url, api_key="any"),
        "storing": OpenAIChatClient(model=STORING, base_url=vendors.openai_url, api_key="any"),
    }


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch, provider: TracerProvider) -> None:
    """Let the framework's spans go where the router's go; else they go to the global provider, which records none."""
    monkeypatch.setattr("agent_framework.observability.get_tracer", lambda: provider.get_tracer("agent_framework"))


@pytest.fixture(scope="session")
def kept() -> list[RoutedChatClient]:
    """The routed clients so far: one that is dropped while its loop runs would leave its connections open."""
    return []


@pytest.fixture
def routed(clients: Clients, watcher: Watcher, provider: TracerProvider, kept: list[RoutedChatClient]) -> Routed:
    """Make a routed client over both, whose router is watched; arguments of its own go to the client."""

    def make(incumbent: str = "chat", config: Mapping[str, Any] | None = None, **fields: Any) -> RoutedChatClient:
        candidates = fields.pop("candidates", clients)
        router = Router(
            [{"id": name, "model": f"openai/{name}", **FACTS} for name in candidates],
            incumbent,
            config={"execution": {"retries": 0}, **(config or {})},
            plugins=[watcher],
            tracer_provider=provider,
        )
        kept.append(RoutedChatClient(candidates, router=router, **fields))
        return kept[-1]

    return make


@tool
def get_weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture
def weather() -> FunctionTool:
    return get_weather


def said(*texts: str) -> list[Message]:
    """Return what a person says."""
    return [Message("user", [text]) for text in texts]


def account(answer: Any) -> Any:
    """Return the router's account of a response."""
    return answer.additional_properties["taskrouter"]


def asked(vendors: Vendors) -> list[str]:
    """Return the models that were asked, in order, as the vendors saw them."""
    for request in vendors.received:
        assert request.status != 400, request.error
    return [request.model for request in vendors.received]
