"""A model of the router's own backends (LiteLLM, OpenAI SDK, a plugin's) as a LangChain chat model.

It is what a LiteLLM string or a table as in `[[models]]` becomes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from taskrouter import ResponseView
from taskrouter.adapters import PoolModel
from taskrouter.outcome import Usage
from taskrouter.step import Message


class CoreModel(BaseChatModel):
    """A model of the pool, called through the backend that its card names; keys come from the environment."""

    pool_model: PoolModel = Field(exclude=True, repr=False)

    @property
    def _llm_type(self) -> str:
        return "taskrouter-core"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        card = self.pool_model.card
        return {"model": card.model, "base_url": card.base_url, "params": card.params}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": self.pool_model.card.model}

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
        native = self.pool_model.complete(_conversation(messages), _request(stop, kwargs))
        return _result(self.pool_model.view(native))

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **kwargs: Any
    ) -> ChatResult:
        native = await self.pool_model.acomplete(_conversation(messages), _request(stop, kwargs))
        return _result(self.pool_model.view(native))

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for native in self.pool_model.stream(_conversation(messages), _request(stop, kwargs)):
            yield _chunk(self.pool_model.view(native))

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(self.pool_model.astream(_conversation(messages), _request(stop, kwargs))) as chunks:
            async for native in chunks:
                yield _chunk(self.pool_model.view(native))


def _request(stop: list[str] | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    request = {name: value for name, value in kwargs.items() if name != "run_manager"}
    return request if stop is None else {**request, "stop": stop}


def _conversation(messages: list[BaseMessage]) -> Sequence[Message]:
    shown = convert_to_openai_messages(messages)
    conversation = shown if isinstance(shown, list) else [shown]
    for message in conversation:
        if message["role"] == "tool":  # its call says whose result it is; here OpenAI takes no name
            message.pop("name", None)
    return conversation


def _tool_choice(choice: Any, names: Sequence[str]) -> Any:
    if choice in ("any", True):
        return "required"
    if choice in names:
        return {"type": "function", "function": {"name": choice}}
    return choice


def _result(view: ResponseView) -> ChatResult:
    """Return a whole answer: the one chunk that it would be as a stream, joined."""
    chunk = _chunk(view).message
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
