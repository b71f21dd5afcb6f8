"""LangChain: `ChatOpenAI`, and `RoutedChatModel` around two of it."""

from __future__ import annotations

from typing import Any

from benchmarks.adapters.common import ANSWER, GREETING, QUESTION, SYSTEM, Framework, Way, Ways, router_of
from benchmarks.canned_server import MODEL
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_core.tracers.context import _configure_hooks
from langchain_openai import ChatOpenAI
from opentelemetry.sdk.trace import TracerProvider
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from langchain_taskrouter._runs import HOOK


def over_http(base_url: str, provider: TracerProvider | None) -> Ways:
    """Real clients."""

    @tool
    def lookup(order: str) -> str:
        """Look up an order."""
        return order

    def candidate() -> ChatOpenAI:
        return ChatOpenAI(model=MODEL, base_url=base_url, api_key=SecretStr("any"), max_retries=0, stream_usage=True)

    direct = candidate()
    routed = RoutedChatModel({"small": candidate(), "large": candidate()}, router=router_of(MODEL, provider))
    with_tools = direct.bind_tools([lookup]), routed.bind_tools([lookup])
    asked = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]

    async def astream(model: Any) -> None:
        async for _ in model.astream(asked):
            pass

    return Ways(
        [
            Way("invoke", lambda: direct.invoke(asked), lambda: routed.invoke(asked)),
            Way("invoke, tools", lambda: with_tools[0].invoke(asked), lambda: with_tools[1].invoke(asked)),
            Way("stream", lambda: list(direct.stream(asked)), lambda: list(routed.stream(asked))),
        ],
        [
            Way("ainvoke", lambda: direct.ainvoke(asked), lambda: routed.ainvoke(asked)),
            Way("ainvoke, tools", lambda: with_tools[0].ainvoke(asked), lambda: with_tools[1].ainvoke(asked)),
            Way("astream", lambda: astream(direct), lambda: astream(routed)),
        ],
    )


class Floor(BaseChatModel):
    """Answers at once."""

    @property
    def _llm_type(self) -> str:
        return "floor"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(ANSWER))])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)


def floor() -> Ways:
    """Without HTTP."""
    direct, asked = Floor(), [HumanMessage(GREETING)]
    routed = RoutedChatModel({"small": Floor(), "large": Floor()}, router=router_of("floor"))
    return Ways(
        [Way("invoke", lambda: direct.invoke(asked), lambda: routed.invoke(asked))],
        [Way("ainvoke", lambda: direct.ainvoke(asked), lambda: routed.ainvoke(asked))],
    )


def attach(on: bool) -> None:
    """Put on, or take off, the callback handler by which the adapter hears of runs; all models pay for it."""
    _configure_hooks[:] = [hook for hook in _configure_hooks if hook[0] is not HOOK]
    if on:
        _configure_hooks.append((HOOK, True, None, None))


FRAMEWORK = Framework(over_http, floor, None, attach)
