"""Real `ChatOpenAI` models over the simulator, and a routed model over them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter.simulator import RunningServer

ModelOf = Callable[..., ChatOpenAI]
Routed = Callable[..., RoutedChatModel]

PRICES = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
QUESTION = "What is 12 * 12?"
FAST = {"retries": 0, "backoff_base_s": 0.001}


class Runs(BaseCallbackHandler):
    """Counts what LangChain's callbacks see."""

    def __init__(self) -> None:
        self.started: list[UUID] = []
        self.ended: list[LLMResult] = []
        self.failed: list[BaseException] = []
        self.tokens: list[str] = []

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self.started.append(run_id)

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.ended.append(response)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.failed.append(error)


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def model_of(server: RunningServer) -> ModelOf:
    """Make a model of the simulator as users make one."""

    def make(name: str, **fields: Any) -> ChatOpenAI:
        return ChatOpenAI(model=name, **{"base_url": server.base_url, "api_key": SecretStr("any"), **fields})

    return make


@pytest.fixture
def dead(model_of: ModelOf) -> ChatOpenAI:
    """A model at an address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return model_of("dead", base_url=f"http://127.0.0.1:{port}/v1")


@pytest.fixture
def routed(model_of: ModelOf) -> Routed:
    """Make a routed model over the simulator's two; the first one is the incumbent."""

    def make(**fields: Any) -> RoutedChatModel:
        config = {"execution": FAST, "models": [{"id": name, **PRICES} for name in ("first", "second")]}
        given = {
            "candidates": {"first": model_of("first"), "second": model_of("second")},
            "incumbent": "first",
            "config": config,
        }
        return RoutedChatModel(**{**given, **fields})

    return make


@tool
def lookup(city: str) -> str:
    """Look up the weather of a city."""
    return f"The weather in {city} is sunny, 21 degrees."


@pytest.fixture
def weather() -> Any:
    return lookup
