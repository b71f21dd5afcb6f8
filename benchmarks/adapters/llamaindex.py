"""LlamaIndex: its `OpenAI`, and `RoutedLLM` around two of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.adapters.common import ANSWER, GREETING, QUESTION, SYSTEM, Framework, Way, Ways, router_of
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from llama_index_instrumentation import get_dispatcher
from opentelemetry.sdk.trace import TracerProvider

from llama_index.llms.taskrouter import RoutedLLM
from llama_index.llms.taskrouter._spans import SPANS

MODEL = "gpt-4o-mini"
"""LlamaIndex's class takes only names that it knows; the canned server takes any."""


def over_http(base_url: str, provider: TracerProvider | None) -> Ways:
    """Real clients."""

    def lookup(order: str) -> str:
        """Look up an order."""
        return order

    def candidate() -> OpenAI:
        counted = {"stream_options": {"include_usage": True}}
        return OpenAI(model=MODEL, api_base=base_url, api_key="any", max_retries=0, additional_kwargs=counted)

    tools = [FunctionTool.from_defaults(lookup)]
    direct = candidate()
    routed = RoutedLLM({"small": candidate(), "large": candidate()}, router=router_of(MODEL, provider))
    asked = [ChatMessage(SYSTEM, role="system"), ChatMessage(QUESTION)]

    def with_tools(llm: Any) -> Any:
        return llm.chat_with_tools(tools, chat_history=list(asked))

    def awith_tools(llm: Any) -> Any:
        return llm.achat_with_tools(tools, chat_history=list(asked))

    async def astream(llm: Any) -> None:
        async for _ in await llm.astream_chat(asked):
            pass

    return Ways(
        [
            Way("chat", lambda: direct.chat(asked), lambda: routed.chat(asked)),
            Way("chat, tools", lambda: with_tools(direct), lambda: with_tools(routed)),
            Way("stream", lambda: list(direct.stream_chat(asked)), lambda: list(routed.stream_chat(asked))),
        ],
        [
            Way("achat", lambda: direct.achat(asked), lambda: routed.achat(asked)),
            Way("achat, tools", lambda: awith_tools(direct), lambda: awith_tools(routed)),
            Way("astream", lambda: astream(direct), lambda: astream(routed)),
        ],
    )


class Floor(CustomLLM):
    """Answers at once."""

    @property
    def metadata(self) -> LLMMetadata:
        """What the model says of itself."""
        return LLMMetadata(model_name="floor", is_chat_model=True, context_window=100_000)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
        """Answer."""
        return ChatResponse(message=ChatMessage(ANSWER, role="assistant"))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
        """Answer."""
        return ChatResponse(message=ChatMessage(ANSWER, role="assistant"))

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        """Answer."""
        return CompletionResponse(text=ANSWER)

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        """Answer."""
        return iter([CompletionResponse(text=ANSWER, delta=ANSWER)])


def floor() -> Ways:
    """Without HTTP."""
    direct, asked = Floor(), [ChatMessage(GREETING)]
    routed = RoutedLLM({"small": Floor(), "large": Floor()}, router=router_of("floor"))
    return Ways(
        [Way("chat", lambda: direct.chat(asked), lambda: routed.chat(asked))],
        [Way("achat", lambda: direct.achat(asked), lambda: routed.achat(asked))],
    )


def attach(on: bool) -> None:
    """Put on, or take off, the span handler by which the adapter knows components; all of LlamaIndex pays for it."""
    handlers = get_dispatcher().span_handlers
    handlers[:] = [handler for handler in handlers if handler is not SPANS]
    if on:
        handlers.append(SPANS)


FRAMEWORK = Framework(over_http, floor, 60.0, attach)
