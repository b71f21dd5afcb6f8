"""LlamaIndex's own LLMs over the stand-ins, and a routed LLM over them whose steps can be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.litellm import LiteLLM  # type: ignore[import-untyped] # it ships no types
from llama_index.llms.openai import OpenAI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.standins import Received, Vendors
from tests.watcher import Watcher

from llama_index.llms.taskrouter import RoutedLLM
from taskrouter import Outcome, Router

FIRST, SECOND, CLAUDE = "gpt-4.1-mini", "gpt-4o-mini", "claude-haiku-4-5"
"""The models' names, as the stand-ins see them."""
FACTS = {
    "input_usd_per_million": 1.0,
    "output_usd_per_million": 4.0,
    "context_tokens": 128_000,
    "capabilities": {"tools": True, "json_schema": True, "vision": True},
}
QUIET = {"retries": 0, "backoff_base_s": 0.001}
THINKING = {"type": "enabled", "budget_tokens": 1024}
AGENTS = pytest.mark.filterwarnings(r"ignore:The `__fields:DeprecationWarning", "ignore:is_running:DeprecationWarning")
"""An agent of LlamaIndex looks at all attributes of itself, pydantic's and its own deprecated ones among them."""
WAYS = ("chat", "achat", "stream_chat", "astream_chat")
COMPLETIONS = ("complete", "acomplete", "stream_complete", "astream_complete")


class Bench:
    """Models of both vendors, and all that can be seen of a call."""

    def __init__(self, vendors: Vendors) -> None:
        self.vendors, self.watcher = vendors, Watcher()
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def openai(self, model: str = FIRST, **fields: Any) -> OpenAI:
        return OpenAI(model=model, **{"api_base": self.vendors.openai_url, "api_key": "any", **fields})

    def claude(self, **fields: Any) -> Anthropic:
        return Anthropic(model=CLAUDE, **{"base_url": self.vendors.url, "api_key": "any", **fields})

    def lite(self) -> LiteLLM:
        return lite(f"openai/{SECOND}", api_base=self.vendors.openai_url)

    def routed(
        self,
        candidates: Mapping[str, Any] | None = None,
        *,
        incumbent: str | None = None,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
        fields: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> RoutedLLM:
        """Return a routed LLM whose router is watched; the first candidate is the incumbent."""
        pool = candidates or {"first": self.openai(), "second": self.openai(SECOND)}
        router = Router(
            [{"id": name, **FACTS, **(facts or {}).get(name, {})} for name in pool],
            incumbent or next(iter(pool)),
            config={"execution": QUIET, **config},
            plugins=[self.watcher],
            tracer_provider=self.provider,
        )
        return RoutedLLM(pool, router=router, **(fields or {}))

    def both(self, **more: Any) -> RoutedLLM:
        """Return a routed LLM over both vendors, OpenAI's first."""
        return self.routed({"chatty": self.openai(), "quiet": self.claude()}, **more)

    @property
    def asked(self) -> list[str]:
        """The models that were asked, in order."""
        return [request.model for request in self.vendors.received]

    @property
    def last(self) -> Received:
        return self.vendors.received[-1]

    @property
    def outcome(self) -> Outcome[Any]:
        return self.watcher.outcomes[-1]

    @property
    def context(self) -> Any:
        """Which step the last decision was about."""
        return self.watcher.decisions[-1].context


@pytest.fixture
def bench(vendors: Vendors) -> Iterator[Bench]:
    yield Bench(vendors)
    refused = [request.error for request in vendors.received if request.status == 400]
    assert refused == []


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """What one test sets for the whole of LlamaIndex is gone for the next."""
    before = dict(vars(Settings))
    yield
    vars(Settings).clear()
    vars(Settings).update(before)


def lite(model: str, **fields: Any) -> LiteLLM:
    """Return LiteLLM's integration of LlamaIndex's, which ships no types."""
    return LiteLLM(model=model, api_key="any", **fields)


class Handler(BaseCallbackHandler):
    """Counts what LlamaIndex's callbacks see."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.started: list[CBEventType] = []
        self.ended: list[CBEventType] = []

    def on_event_start(self, event_type: CBEventType, *args: Any, **kwargs: Any) -> str:
        self.started.append(event_type)
        return ""

    def on_event_end(self, event_type: CBEventType, *args: Any, **kwargs: Any) -> None:
        self.ended.append(event_type)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Do nothing."""

    @property
    def llm(self) -> tuple[int, int]:
        """How many calls of models have begun and ended."""
        return self.started.count(CBEventType.LLM), self.ended.count(CBEventType.LLM)


def managed(*handlers: BaseCallbackHandler) -> CallbackManager:
    return CallbackManager(list(handlers))


def said(text: str) -> list[ChatMessage]:
    """Return a conversation of one question."""
    return [ChatMessage(text, role="user")]


async def ask(llm: Any, way: str, given: Any = None, **kwargs: Any) -> Any:
    """Call a method of an LLM in any of its ways; of a stream return its last chunk."""
    return (await read(llm, way, given, **kwargs))[-1]


async def read(llm: Any, way: str, given: Any = None, **kwargs: Any) -> list[Any]:
    """Do the same, and return all chunks."""
    if given is None:
        given = "Hello" if "complete" in way else said("Hello")
    answered = getattr(llm, way)(given, **kwargs)
    if way.startswith("a"):
        answered = await answered
    if way.startswith("astream"):
        return [chunk async for chunk in answered]
    return list(answered) if way.startswith("stream") else [answered]


def run(work: Callable[[], Any]) -> Any:
    """Run a coroutine function in an event loop of its own."""
    return asyncio.run(work())


def weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"It is sunny in {city}."


def clock(city: str) -> str:
    """Look up the time of a city."""
    return f"It is noon in {city}."


@pytest.fixture
def tools() -> Sequence[FunctionTool]:
    return [FunctionTool.from_defaults(weather), FunctionTool.from_defaults(clock)]
