"""A LiteLLM model string as a LangChain chat model.

It goes through the router's own LiteLLM backend: LiteLLM's manners (its price map, its retries, its clients) are dealt
with there already, the engine knows its errors, and no further package is needed. `ChatLiteLLM` would bring one, with
untyped errors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

from taskrouter import ResponseView, Step
from taskrouter.config import ModelConfig
from taskrouter.execution.backends.litellm import LiteLLMBackend
from taskrouter.outcome import Usage


class LiteLLMModel(BaseChatModel):
    """The model behind a LiteLLM string such as `anthropic/claude-sonnet-4-5`; keys come from the environment."""

    model: str

    @property
    def _llm_type(self) -> str:
        return "litellm"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model": self.model}

    @cached_property
    def _backend(self) -> LiteLLMBackend:
        return LiteLLMBackend()

    @cached_property
    def _card(self) -> ModelConfig:
        return ModelConfig(id=self.model, model=self.model)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": self.model}

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in OpenAI's format, which LiteLLM translates."""
        shown = [convert_to_openai_tool(tool) for tool in tools]
        if tool_choice is not None:
            kwargs["tool_choice"] = _tool_choice(tool_choice, [tool["function"]["name"] for tool in shown])
        return self.bind(tools=shown, **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **kwargs: Any
    ) -> ChatResult:
        return _result(self._backend.complete(self._card, _step(messages, stop, kwargs), None), self._backend)

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **kwargs: Any
    ) -> ChatResult:
        native = await self._backend.acomplete(self._card, _step(messages, stop, kwargs), None)
        return _result(native, self._backend)

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for native in self._backend.stream(self._card, _step(messages, stop, kwargs), None):
            yield _chunk(self._backend.view(native))

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        chunks: Any = await self._backend.astream(self._card, _step(messages, stop, kwargs), None)
        async with aclosing(chunks):
            async for native in chunks:
                yield _chunk(self._backend.view(native))


def _step(messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]) -> Step:
    payload = {name: value for name, value in kwargs.items() if name != "run_manager"}
    if stop is not None:
        payload["stop"] = stop
    shown = convert_to_openai_messages(messages)
    return Step(messages=shown if isinstance(shown, list) else [shown], payload=payload)


def _tool_choice(choice: Any, names: Sequence[str]) -> Any:
    if choice in ("any", True):
        return "required"
    if choice in names:
        return {"type": "function", "function": {"name": choice}}
    return choice


def _result(native: Any, backend: LiteLLMBackend) -> ChatResult:
    """Return a whole answer: the one chunk that it would be as a stream, joined."""
    chunk = _chunk(backend.view(native)).message
    assert isinstance(chunk, AIMessageChunk), type(chunk)  # noqa: S101 - `_chunk` makes nothing else
    message = AIMessage(
        content=chunk.content,
        additional_kwargs=chunk.additional_kwargs,
        tool_calls=chunk.tool_calls,
        invalid_tool_calls=chunk.invalid_tool_calls,
        response_metadata=chunk.response_metadata,
        usage_metadata=chunk.usage_metadata,
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _chunk(view: ResponseView) -> ChatGenerationChunk:
    calls = [
        tool_call_chunk(name=call.name or None, args=call.arguments, id=call.id, index=call.index or place)
        for place, call in enumerate(view.tool_calls)
    ]
    facts: dict[str, Any] = {}
    if view.finish_reason:  # in a stream it comes once; the model's name comes with every chunk and would be joined
        facts = {"finish_reason": view.finish_reason, "model_name": view.model}
    kwargs = {"reasoning_content": view.reasoning} if view.reasoning else {}
    if view.refused:
        kwargs["refusal"] = "refused"
    message = AIMessageChunk(
        content=view.text,
        additional_kwargs=kwargs,
        tool_call_chunks=calls,
        response_metadata=facts,
        usage_metadata=_usage(view.usage),
    )
    return ChatGenerationChunk(message=message)


def _usage(usage: Usage | None) -> UsageMetadata | None:
    if usage is None:
        return None
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        input_token_details=InputTokenDetails(cache_read=usage.cached_input_tokens),
    )
