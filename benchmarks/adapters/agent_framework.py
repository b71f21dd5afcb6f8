"""Microsoft's Agent Framework: its `OpenAIChatCompletionClient`, and `RoutedChatClient` around two of it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from agent_framework import BaseChatClient, ChatResponse, ChatResponseUpdate, FunctionTool, Message, ResponseStream
from agent_framework_openai import OpenAIChatCompletionClient
from benchmarks.adapters.common import ANSWER, GREETING, QUESTION, SYSTEM, Framework, Way, Ways, router_of
from benchmarks.canned_server import MODEL
from opentelemetry.sdk.trace import TracerProvider

from autogen_taskrouter.agent_framework import RoutedChatClient


def over_http(base_url: str, provider: TracerProvider | None) -> Ways:
    """Real clients."""

    def lookup(order: str) -> str:
        """Look up an order."""
        return order

    def candidate() -> OpenAIChatCompletionClient[Any]:
        client: OpenAIChatCompletionClient[Any] = OpenAIChatCompletionClient(
            model=MODEL, base_url=base_url, api_key="any"
        )
        return client

    direct = candidate()
    routed = RoutedChatClient({"small": candidate(), "large": candidate()}, router=router_of(MODEL, provider))
    asked = [Message("system", [SYSTEM]), Message("user", [QUESTION])]
    tools: Any = {"tools": [FunctionTool(name="lookup", func=lookup)]}

    async def stream(client: Any) -> None:
        async for _ in client.get_response(asked, stream=True):
            pass

    return Ways(
        [],
        [
            Way("get_response", lambda: direct.get_response(asked), lambda: routed.get_response(asked)),
            Way(
                "with tools",
                lambda: direct.get_response(asked, options=tools),
                lambda: routed.get_response(asked, options=tools),
            ),
            Way("stream", lambda: stream(direct), lambda: stream(routed)),
        ],
    )


class Floor(BaseChatClient[Any]):
    """Answers at once."""

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Awaitable[ChatResponse[Any]] | ResponseStream[ChatResponseUpdate, ChatResponse[Any]]:
        async def answer() -> ChatResponse[Any]:
            return ChatResponse(messages=[Message("assistant", [ANSWER])])

        return answer()


def floor() -> Ways:
    """Without HTTP. The routed client has the framework's layers for tools, middleware and telemetry around it."""
    direct, asked = Floor(), [Message("user", [GREETING])]
    routed = RoutedChatClient({"small": Floor(), "large": Floor()}, router=router_of("floor"))
    return Ways([], [Way("get_response", lambda: direct.get_response(asked), lambda: routed.get_response(asked))])


FRAMEWORK = Framework(over_http, floor, None)
