"""A model of the router's own backends (LiteLLM, OpenAI SDK, a plugin's) as a LlamaIndex LLM.

It is what a LiteLLM string or a table as in `[[models]]` becomes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from llama_index.core.base.llms.generic_utils import (
    achat_to_completion_decorator,
    astream_chat_to_completion_decorator,
    chat_to_completion_decorator,
    stream_chat_to_completion_decorator,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    ContentBlock,
    LLMMetadata,
    MessageRole,
    TextBlock,
    ThinkingBlock,
)
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool

from llama_index.llms.taskrouter._calls import ToolCall, arguments_of, as_blocks, calls_of
from llama_index.llms.taskrouter._messages import conversation, on_the_wire
from taskrouter import ResponseView
from taskrouter.adapters import PoolModel
from taskrouter.execution.partial import Partial


class CoreLLM(FunctionCallingLLM):
    """A model of the pool, called through the backend that its card names; keys come from the environment."""

    pool_model: PoolModel = Field(exclude=True, repr=False)
    temperature: float | None = None
    max_tokens: int | None = None

    def __init__(self, pool_model: PoolModel, **fields: Any) -> None:
        super().__init__(pool_model=pool_model, **fields)

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which LlamaIndex knows the class."""
        return "taskrouter_core_llm"

    @property
    def metadata(self) -> LLMMetadata:
        """What the card says of the model."""
        card = self.pool_model.card
        return LLMMetadata(
            context_window=card.context_tokens or 0,
            num_output=self.max_tokens or -1,
            is_chat_model=True,
            is_function_calling_model=card.capabilities.tools is not False,
            model_name=card.model,
        )

    # --- what LlamaIndex asks an LLM for --------------------------------------------------------------------------

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the model's answer."""
        return self._chat(messages, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the model's answer."""
        return await self._achat(messages, **kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Stream the model's answer."""
        return self._stream_chat(messages, **kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Stream the model's answer."""
        return self._astream_chat(messages, **kwargs)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Return the model's answer to a prompt."""
        return chat_to_completion_decorator(self._chat)(prompt, **kwargs)

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Return the model's answer to a prompt."""
        return await achat_to_completion_decorator(self._achat)(prompt, **kwargs)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Stream the model's answer to a prompt."""
        return stream_chat_to_completion_decorator(self._stream_chat)(prompt, **kwargs)

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """Stream the model's answer to a prompt."""

        async def stream(messages: Sequence[ChatMessage], **more: Any) -> ChatResponseAsyncGen:
            return self._astream_chat(messages, **more)

        return await astream_chat_to_completion_decorator(stream)(prompt, **kwargs)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of an answer."""
        return selections(response, error_on_no_tool_call=error_on_no_tool_call)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        request: dict[str, Any] = {"messages": conversation(user_msg, chat_history), **kwargs}
        if not tools:
            return request
        request["tools"] = [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools]
        if (choice := request.pop("tool_choice", None)) is not None or tool_required:
            request["tool_choice"] = "required" if choice is None else _choice(choice, tools)
        return request

    # --- calls ------------------------------------------------------------------------------------------------------

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._response(self.pool_model.complete(on_the_wire(messages), self._request(kwargs)))

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._response(await self.pool_model.acomplete(on_the_wire(messages), self._request(kwargs)))

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        so_far = Partial()
        for native in self.pool_model.stream(on_the_wire(messages), self._request(kwargs)):
            yield self._chunk(native, so_far)

    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        so_far = Partial()
        async with aclosing(self.pool_model.astream(on_the_wire(messages), self._request(kwargs))) as chunks:
            async for native in chunks:
                yield self._chunk(native, so_far)

    def _request(self, given: Mapping[str, Any]) -> dict[str, Any]:
        own = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {**{name: value for name, value in own.items() if value is not None}, **given}

    def _response(self, native: Any) -> ChatResponse:
        view = self.pool_model.view(native)
        return ChatResponse(message=_message(view), raw=native, additional_kwargs=_counts(view))

    def _chunk(self, native: Any, so_far: Partial) -> ChatResponse:
        view = self.pool_model.view(native)
        so_far.add(view)
        facts = _counts(view)
        if view.reasoning:
            facts["thinking_delta"] = view.reasoning
        message = _message(so_far.view())
        return ChatResponse(message=message, delta=view.text, raw=native, additional_kwargs=facts)


def selections(response: ChatResponse, *, error_on_no_tool_call: bool) -> list[ToolSelection]:
    """Return the tool calls of an answer, in whichever encoding they are.

    Raises:
        ValueError: there is none, and one was wanted.
    """
    calls = calls_of(response.message)
    if not calls and error_on_no_tool_call:
        raise ValueError("Expected at least one tool call, but got 0 tool calls.")
    return [
        ToolSelection(tool_id=call.id, tool_name=call.name, tool_kwargs=dict(call.arguments) if call.valid else {})  # type: ignore[arg-type] # `valid` says it is a mapping
        for call in calls
    ]


def _message(view: ResponseView) -> ChatMessage:
    blocks: list[ContentBlock] = []
    if view.reasoning:
        blocks.append(ThinkingBlock(content=view.reasoning))
    if view.text or not view.tool_calls:
        blocks.append(TextBlock(text=view.text))
    blocks += as_blocks([ToolCall(call.id or "", call.name, arguments_of(call.arguments)) for call in view.tool_calls])
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks)


def _counts(view: ResponseView) -> dict[str, Any]:
    """Return the token counts under the names by which LlamaIndex's integrations report them."""
    if view.usage is None:
        return {}
    used = view.usage
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
    }


def _choice(choice: Any, tools: Sequence[BaseTool]) -> Any:
    if choice in {tool.metadata.name for tool in tools}:
        return {"type": "function", "function": {"name": choice}}
    return "required" if choice == "any" else choice
