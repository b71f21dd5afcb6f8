"""One call to the routed client, as it came in: what to profile, and what each candidate is to be called with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any, NoReturn

from autogen_core import CancellationToken
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import BaseTool, Tool, ToolSchema

from autogen_taskrouter._candidates import Candidate
from autogen_taskrouter._clients import settings
from autogen_taskrouter._messages import chat_messages as shown_messages
from autogen_taskrouter._messages import is_answer_type, json_schema, schema_of, shown_tool
from taskrouter import ConfigurationError, Step
from taskrouter.adapters import KEY, Identity

_LENGTH_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_COUNTING, _COUNTED = "include_usage", "stream_options"
"""How AutoGen's OpenAI clients are asked to count the tokens of a stream: an argument, and the parameter behind it."""
_OPENAIS_OWN = frozenset({_COUNTING, "max_consecutive_empty_chunk_tolerance"})
"""Arguments of AutoGen's OpenAI clients alone: for others, and for whole answers, they say nothing."""
_MESSAGES = (SystemMessage, UserMessage, AssistantMessage, FunctionExecutionResultMessage)
_TOOLS = (Mapping, BaseTool, Tool)
"""The last is a protocol, which takes long to ask."""
_CHOICES = ("auto", "required", "none")


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

    @property
    def wanted_output(self) -> Any:
        """What the answer is to be: a class, `True` for JSON, a JSON Schema; else nothing of that kind."""
        if self.json_output is not None:
            return self.json_output
        said = self.extra.get("response_format")
        if not isinstance(said, Mapping):
            return said
        schema = (said.get("json_schema") or {}).get("schema")
        return schema if isinstance(schema, Mapping) else said.get("type") == "json_object"

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
        wanted = self.wanted_output
        if is_answer_type(wanted):
            return json_schema(wanted)
        return wanted if isinstance(wanted, Mapping) else None


def checked_request(
    messages: Any,
    tools: Any,
    tool_choice: Any,
    json_output: Any,
    extra: Any,
    token: Any,
    options: Mapping[str, Any],
) -> Request:
    """Return a call, or say what is wrong with it: candidates would say it each in its own way, and some not at all.

    Raises:
        ConfigurationError: an argument is of the wrong kind.
    """
    _check_items("messages", messages, _MESSAGES, "AutoGen's messages, such as UserMessage")
    _check_items("tools", tools, _TOOLS, "tools, such as FunctionTool, or their schemas")
    if tool_choice not in _CHOICES:
        _check_choice(tool_choice, tools)
    if not (json_output is None or isinstance(json_output, bool) or is_answer_type(json_output)):
        _wrong("json_output", json_output, "True, False, None, or a class that is derived from pydantic's BaseModel")
    if not isinstance(extra, Mapping):
        _wrong("extra_create_args", extra, "a mapping")
    if not isinstance(token, CancellationToken | None):
        _wrong("cancellation_token", token, "a CancellationToken")
    return Request(messages, tools, tool_choice, json_output, extra, token, options)


def check_options(options: Iterable[str], candidates: Iterable[Candidate], *, streamed: bool) -> None:
    """Say which argument nobody knows: it would be lost.

    Raises:
        ConfigurationError: there is one.
    """
    for name in options:
        known = (_taken_by(_way(candidate.client, streamed=streamed)) for candidate in candidates)
        if name not in _OPENAIS_OWN and not any(taken is None or name in taken for taken in known):
            raise ConfigurationError(
                f"no candidate takes the argument {name!r}; give a parameter of the request in `extra_create_args`"
            )


def _check_items(name: str, given: Any, kinds: tuple[type, ...], what: str) -> None:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        _wrong(name, given, f"a sequence of {what}")
    for place, item in enumerate(given):
        if not isinstance(item, kinds):
            _wrong(f"{name}[{place}]", item, f"one of {what}")


def _check_choice(choice: Any, tools: Sequence[Tool | ToolSchema]) -> None:
    if not isinstance(choice, _TOOLS[1:]):
        _wrong("tool_choice", choice, f"a tool, or one of {', '.join(map(repr, _CHOICES))}")
    if choice.name not in {schema_of(tool).get("name") for tool in tools}:
        raise ConfigurationError(f"tool_choice names {choice.name!r}, which is not among the tools of the call")


def _wrong(name: str, given: object, what: str) -> NoReturn:
    raise ConfigurationError(f"{name} is a {type(given).__name__}; it must be {what}")


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
