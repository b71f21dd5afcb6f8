"""A model of the router's own backends (LiteLLM, OpenAI SDK, a plugin's) as one of AutoGen's model clients.

It is what a LiteLLM string or a table as in `[[models]]` becomes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    FinishReasons,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from autogen_taskrouter._messages import chat_messages, is_answer_type, json_schema, schema_of, shown_tool
from autogen_taskrouter._tokens import estimated_tokens
from taskrouter.adapters import PoolModel
from taskrouter.execution.partial import Partial
from taskrouter.outcome import ResponseView

_FINISH: Mapping[str | None, FinishReasons] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "function_calls",
    "content_filter": "content_filter",
}
_NOTHING: Mapping[str, Any] = {}


class CoreClient(ChatCompletionClient):
    """A model of the pool, called through the backend that its card names; keys come from the environment.

    Args:
        pool_model: the model.
    """

    def __init__(self, pool_model: PoolModel) -> None:
        self.pool_model = pool_model

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Any = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = _NOTHING,
        cancellation_token: CancellationToken | None = None,  # noqa: ARG002 - the routed client heeds it
    ) -> CreateResult:
        """Answer; see `ChatCompletionClient.create`."""
        request = _request(tools, tool_choice, json_output, extra_create_args)
        native = await self.pool_model.acomplete(chat_messages(messages, pictures=True), request)
        return _result(self.pool_model.view(native))

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Any = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = _NOTHING,
        cancellation_token: CancellationToken | None = None,  # noqa: ARG002 - as above
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Stream the answer; see `ChatCompletionClient.create_stream`."""
        request = _request(tools, tool_choice, json_output, extra_create_args)
        partial = Partial()
        async with aclosing(self.pool_model.astream(chat_messages(messages, pictures=True), request)) as chunks:
            async for native in chunks:
                view = self.pool_model.view(native)
                partial.add(view)
                if view.text:
                    yield view.text
        yield _result(partial.view())

    async def close(self) -> None:
        """Do nothing: the backends close their clients with their event loops."""

    def actual_usage(self) -> RequestUsage:
        """Return nothing: the routed client counts."""
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        """Return nothing: the routed client counts."""
        return self.actual_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Return about how many tokens messages and tools have."""
        return estimated_tokens(messages, tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Return about how many tokens are left of the window."""
        return (self.pool_model.card.context_tokens or 0) - self.count_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        """What the model can do."""
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do: its card says it."""
        able = self.pool_model.card.capabilities
        return ModelInfo(
            vision=bool(able.vision),
            function_calling=bool(able.tools),
            json_output=bool(able.json_schema),
            structured_output=bool(able.json_schema),
            family=ModelFamily.UNKNOWN,
            multiple_system_messages=True,
        )


def _request(
    tools: Sequence[Tool | ToolSchema],
    tool_choice: Any,
    json_output: bool | type[BaseModel] | None,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if is_answer_type(extra.get("response_format")):
        json_output, extra = extra["response_format"], {**extra}
        del extra["response_format"]
    if tools:
        request["tools"] = [shown_tool(tool) for tool in tools]
        request["tool_choice"] = tool_choice if isinstance(tool_choice, str) else _choice(tool_choice)
    if json_output is True:
        request["response_format"] = {"type": "json_object"}
    elif is_answer_type(json_output):
        answer: Any = json_output
        shape = {"name": answer.__name__, "schema": json_schema(answer)}
        request["response_format"] = {"type": "json_schema", "json_schema": shape}
    return {**request, **extra}


def _choice(tool: Tool | ToolSchema) -> dict[str, Any]:
    return {"type": "function", "function": {"name": schema_of(tool)["name"]}}


def _result(view: ResponseView) -> CreateResult:
    calls = [FunctionCall(id=call.id or "", arguments=call.arguments, name=call.name) for call in view.tool_calls]
    counted = view.usage
    return CreateResult(
        finish_reason="content_filter" if view.refused else _FINISH.get(view.finish_reason, "unknown"),
        content=calls or view.text,
        usage=RequestUsage(
            prompt_tokens=counted.input_tokens if counted else 0,
            completion_tokens=counted.output_tokens if counted else 0,
        ),
        cached=False,
        thought=(view.text if calls else "") or view.reasoning or None,
    )
