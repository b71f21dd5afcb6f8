"""One call to the routed client, as it came in: what to profile, and what each candidate is to be called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any

from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, ChatCompletionClient, FunctionExecutionResultMessage, LLMMessage
from autogen_core.tools import Tool, ToolSchema

from autogen_taskrouter._candidates import Candidate
from autogen_taskrouter._clients import settings
from autogen_taskrouter._messages import chat_messages as shown_messages
from autogen_taskrouter._messages import is_answer_type, json_schema, shown_tool
from taskrouter import Step
from taskrouter.adapters import KEY, Identity

_LENGTH_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_COUNTING, _COUNTED = "include_usage", "stream_options"
"""How AutoGen's OpenAI clients are asked to count the tokens of a stream: an argument, and the parameter behind it."""


@dataclass(frozen=True, slots=True)
class Request:
    """The native request. Messages and tools go to a candidate as they are, but for what `_history` says."""

    messages: Sequence[LLMMessage]
    tools: Sequence[Tool | ToolSchema]
    tool_choice: Any
    json_output: Any
    extra: Mapping[str, Any]
    """`extra_create_args`, as they were given."""
    token: CancellationToken | None
    options: Mapping[str, Any]
    """Arguments that only some clients know."""

    @property
    def pinned(self) -> str | None:
        """The candidate that the call itself names."""
        return self.extra.get("model")

    def step(self, identity: Identity) -> Step:
        """Return the step to profile."""
        limits = {name: self.extra[name] for name in _LENGTH_LIMITS if name in self.extra}
        return Step(
            messages=shown_messages(self.messages),
            tools=[shown_tool(tool) for tool in self.tools],
            response_schema=self._schema(),
            context=identity.context,
            task_type=identity.task_type,
            payload=limits or None,
        )

    def arguments(self, candidate: Candidate, messages: Sequence[LLMMessage], *, streamed: bool) -> dict[str, Any]:
        """Return the keyword arguments to call a candidate with, beside the messages: those that it takes.

        Args:
            candidate: who is called.
            messages: what it is shown.
            streamed: whether its stream is asked for.
        """
        extra = {name: value for name, value in self.extra.items() if name not in (KEY, "model")}
        options = dict(self.options)
        if options.get(_COUNTING) is False:  # AutoGen's client takes any value for a yes
            del options[_COUNTING]
        elif candidate.kind == "openai" and streamed and _COUNTED not in {**settings(candidate.client), **extra}:
            extra[_COUNTED] = {_COUNTING: True}
        given = {
            "tools": list(self.tools),
            "tool_choice": self.tool_choice,
            "json_output": self.json_output,
            "extra_create_args": extra,
            "cancellation_token": self.token,
            **options,
        }
        if candidate.kind == "anthropic" and not self.tools and (named := _called(messages)):
            given.update(tools=named, tool_choice="none")
        known = _taken_by(_way(candidate.client, streamed=streamed))
        return given if known is None else {name: value for name, value in given.items() if name in known}

    def _schema(self) -> Mapping[str, Any] | None:
        if is_answer_type(self.json_output):
            return json_schema(self.json_output)
        response_format = self.extra.get("response_format")
        if not isinstance(response_format, Mapping):
            return None
        schema = (response_format.get("json_schema") or {}).get("schema")
        return schema if isinstance(schema, Mapping) else None


def _way(client: ChatCompletionClient, *, streamed: bool) -> Callable[..., Any]:
    return type(client).create_stream if streamed else type(client).create


@lru_cache(maxsize=256)
def _taken_by(way: Callable[..., Any]) -> frozenset[str] | None:
    """Return the names of the arguments that a client's method takes; None: any."""
    parameters = signature(way).parameters.values()
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters)


def _called(messages: Sequence[LLMMessage]) -> list[ToolSchema]:
    """Return the tools that were called before, if results of theirs are shown.

    Anthropic wants to know the tools of a conversation even where none is offered any more, as when an agent reflects
    on what its tools said. AutoGen's client gives those that it was last called with; another model may have made the
    calls.
    """
    if not any(isinstance(message, FunctionExecutionResultMessage) for message in messages):
        return []
    names = {
        call.name: None
        for message in messages
        if isinstance(message, AssistantMessage) and not isinstance(message.content, str)
        for call in message.content
    }
    return [ToolSchema(name=name, parameters={"type": "object", "properties": {}}) for name in names]
