"""A model of the router's own backends (LiteLLM, OpenAI SDK, a plugin's) as a chat client of the Agent Framework.

It is what a LiteLLM string or a table as in `[[models]]` becomes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal
from uuid import uuid4

from agent_framework import (
    BaseChatClient,
    ChatOptions,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
    UsageDetails,
    normalize_tools,
)

from autogen_taskrouter.agent_framework._messages import chat_messages, function_tools, response_schema
from taskrouter import ResponseView
from taskrouter.adapters import PoolModel
from taskrouter.outcome import ToolCall, Usage

_NOT_SENT = frozenset(
    {"model", "instructions", "tools", "tool_choice", "response_format", "conversation_id", "store", "metadata"}
)
_RENAMED = {"allow_multiple_tool_calls": "parallel_tool_calls"}


class CoreClient(FunctionInvocationLayer[ChatOptions[Any]], BaseChatClient[ChatOptions[Any]]):
    """A model of the pool, called through the backend that its card names; keys come from the environment."""

    DEFAULT_EXCLUDE = {*BaseChatClient.DEFAULT_EXCLUDE, "pool_model"}

    def __init__(self, pool_model: PoolModel) -> None:
        super().__init__()
        self.pool_model = pool_model

    @property
    def model(self) -> str:
        """The model's LiteLLM string."""
        return self.pool_model.card.model

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Awaitable[ChatResponse[Any]] | ResponseStream[ChatResponseUpdate, ChatResponse[Any]]:
        if stream:
            return self._build_response_stream(
                self._updates(messages, options), response_format=options.get("response_format")
            )
        return self._response(messages, options)

    async def _response(self, messages: Sequence[Message], options: Mapping[str, Any]) -> ChatResponse[Any]:
        conversation = chat_messages(messages, options.get("instructions"))
        view = self.pool_model.view(await self.pool_model.acomplete(conversation, _request(options)))
        contents = [*_said(view), *(_call(call) for call in view.tool_calls)]
        return ChatResponse(
            messages=[Message("assistant", contents)],
            response_id=view.response_id,
            model=view.model,
            finish_reason=view.finish_reason,  # type: ignore[arg-type]  # the framework takes any text
            usage_details=None if view.usage is None else _usage(view.usage),
            response_format=options.get("response_format"),
        )

    async def _updates(
        self, messages: Sequence[Message], options: Mapping[str, Any]
    ) -> AsyncIterator[ChatResponseUpdate]:
        conversation = chat_messages(messages, options.get("instructions"))
        calls: dict[int, tuple[str, str]] = {}
        async with aclosing(self.pool_model.astream(conversation, _request(options))) as chunks:
            async for native in chunks:
                view = self.pool_model.view(native)
                contents = [*_said(view), *(_fragment(call, calls) for call in view.tool_calls)]
                if view.usage is not None:
                    contents.append(_merging(Content.from_usage(_usage(view.usage)), "replace"))
                yield ChatResponseUpdate(
                    contents=contents,
                    role="assistant",
                    model=view.model,
                    finish_reason=view.finish_reason,  # type: ignore[arg-type]  # as above
                    response_id=view.response_id,
                    message_id=view.response_id,
                )


def _request(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a chat-completions call."""
    request = {
        _RENAMED.get(name, name): value
        for name, value in options.items()
        if value is not None and name not in _NOT_SENT
    }
    if tools := function_tools(normalize_tools(options.get("tools"))):
        request["tools"] = tools
        if (choice := options.get("tool_choice")) is not None:
            request["tool_choice"] = _tool_choice(choice)
    else:
        request.pop("parallel_tool_calls", None)
    if (response_format := options.get("response_format")) is not None:
        schema = response_schema(response_format)
        request["response_format"] = response_format if schema is None else _wrapped(schema)
    return request


def _tool_choice(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    name = choice.get("required_function_name")
    return choice.get("mode") if name is None else {"type": "function", "function": {"name": name}}


def _wrapped(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("title") or "answer").replace(" ", "_")
    return {"type": "json_schema", "json_schema": {"name": name, "schema": dict(schema)}}


def _said(view: ResponseView) -> list[Content]:
    contents = []
    if view.reasoning:
        contents.append(Content.from_text_reasoning(text=view.reasoning))
    if view.text or view.refused:
        mark = {"core": {"model_output_kind": "refusal"}} if view.refused else None
        contents.append(Content.from_text(view.text, additional_properties=mark))
    return contents


def _call(call: ToolCall) -> Content:
    return Content.from_function_call(call.id or f"call_{uuid4().hex}", call.name, arguments=call.arguments)


def _fragment(call: ToolCall, calls: dict[int, tuple[str, str]]) -> Content:
    """Return a piece of a call, with the ids that its first piece came with: by these the framework joins them."""
    index = call.index if call.index is not None else max(0, len(calls) - (not call.name))
    if index not in calls:
        calls[index] = (f"af-call-{uuid4().hex}", call.id or f"call_{uuid4().hex}")
    occurrence, call_id = calls[index]
    piece = Content.from_function_call(call_id, call.name, arguments=call.arguments)
    piece.id = occurrence
    return _merging(piece, "append")


def _merging(content: Content, mode: Literal["append", "replace"]) -> Content:
    """Say how a part of a stream joins the others; constructors do not take it before agent-framework-core 1.22."""
    content.merge_mode = mode
    return content


def _usage(usage: Usage) -> UsageDetails:
    return UsageDetails(
        input_token_count=usage.input_tokens,
        output_token_count=usage.output_tokens,
        total_token_count=usage.input_tokens + usage.output_tokens,
        cache_read_input_token_count=usage.cached_input_tokens,
    )
