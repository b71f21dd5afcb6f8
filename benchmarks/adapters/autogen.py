"""AutoGen: its `OpenAIChatCompletionClient`, and `RoutedChatCompletionClient` around two of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models.openai import OpenAIChatCompletionClient
from benchmarks.adapters.common import ANSWER, GREETING, QUESTION, SYSTEM, Framework, Way, Ways, router_of
from benchmarks.canned_server import MODEL
from opentelemetry.sdk.trace import TracerProvider

from autogen_taskrouter import RoutedChatCompletionClient

INFO = ModelInfo(vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True)


def over_http(base_url: str, provider: TracerProvider | None) -> Ways:
    """Real clients."""

    def lookup(order: str) -> str:
        """Look up an order."""
        return order

    def candidate() -> OpenAIChatCompletionClient:
        return OpenAIChatCompletionClient(
            model=MODEL, base_url=base_url, api_key="any", max_retries=0, model_info=INFO, include_name_in_message=False
        )

    tools = [FunctionTool(lookup, description="Look up an order.")]
    direct = candidate()
    routed = RoutedChatCompletionClient({"small": candidate(), "large": candidate()}, router=router_of(MODEL, provider))
    asked: list[LLMMessage] = [SystemMessage(content=SYSTEM), UserMessage(content=QUESTION, source="user")]

    async def stream(client: ChatCompletionClient) -> None:
        async for _ in client.create_stream(asked, extra_create_args={"stream_options": {"include_usage": True}}):
            pass

    return Ways(
        [],
        [
            Way("create", lambda: direct.create(asked), lambda: routed.create(asked)),
            Way("create, tools", lambda: direct.create(asked, tools=tools), lambda: routed.create(asked, tools=tools)),
            Way("create_stream", lambda: stream(direct), lambda: stream(routed)),
        ],
    )


class Floor(ChatCompletionClient):
    """Answers at once."""

    async def create(self, messages: Any, **_: Any) -> CreateResult:
        """Answer."""
        used = RequestUsage(prompt_tokens=10, completion_tokens=20)
        return CreateResult(finish_reason="stop", content=ANSWER, usage=used, cached=False)

    async def create_stream(self, messages: Any, **_: Any) -> AsyncGenerator[str | CreateResult, None]:
        """Answer."""
        yield await self.create(messages)

    async def close(self) -> None:
        """Do nothing."""

    def actual_usage(self) -> RequestUsage:
        """Count nothing."""
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    total_usage = actual_usage

    def count_tokens(self, messages: Any, **_: Any) -> int:
        """Count nothing."""
        return 0

    remaining_tokens = count_tokens

    @property
    def capabilities(self) -> Any:
        """What the model can do."""
        return INFO

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return INFO


def floor() -> Ways:
    """Without HTTP."""
    direct = Floor()
    asked: list[LLMMessage] = [UserMessage(content=GREETING, source="user")]
    routed = RoutedChatCompletionClient({"small": Floor(), "large": Floor()}, router=router_of("floor"))
    return Ways([], [Way("create", lambda: direct.create(asked), lambda: routed.create(asked))])


FRAMEWORK = Framework(over_http, floor, 25.0)
