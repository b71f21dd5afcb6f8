"""One call to the routed LLM, as it came in: what to profile, and what each candidate is to be called with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM
from llama_index.core.tools import BaseTool

from llama_index.llms.taskrouter._candidates import Candidate
from llama_index.llms.taskrouter._identity import Placed
from llama_index.llms.taskrouter._messages import ToolShapes, profiled
from taskrouter import ConfigurationError, Step
from taskrouter.adapters import KEY
from taskrouter.step import Tool

Way: TypeAlias = Literal["chat", "chat_with_tools", "complete"]
"""The family of methods that is called: with `a`, `stream_` or `astream_` before it."""
Called: TypeAlias = tuple[Sequence[Any], dict[str, Any]]
_LENGTH_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The native request. Messages and tools go to a candidate as they are."""

    way: Way
    messages: Sequence[ChatMessage]
    tools: Sequence[BaseTool] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """The keyword arguments for a candidate."""
    prompt: str | None = None
    """What `complete` is asked with, in place of messages."""
    declared: Mapping[str, Any] | None = None
    """What the call itself declares."""
    pinned: str | None = None
    """The candidate that the call itself names (`model=`)."""

    @classmethod
    def of(
        cls,
        way: Way,
        messages: Sequence[ChatMessage],
        kwargs: Mapping[str, Any],
        *,
        tools: Sequence[BaseTool] = (),
        prompt: str | None = None,
    ) -> Request:
        """Take the keyword arguments of a call apart. The list is copied: a stream is read later than it is asked for.

        Raises:
            ConfigurationError: the messages are no messages.
        """
        options = dict(kwargs)
        messages = _checked(messages)
        declared, pinned = options.pop(KEY, None), options.pop("model", None)
        return cls(
            way=way,
            messages=messages,
            tools=tools or (),
            options=options,
            prompt=prompt,
            declared=declared,
            pinned=pinned,
        )

    def step(self, placed: Placed, tools: Sequence[Tool], max_tokens: int | None) -> Step:
        """Return the step to profile.

        Args:
            placed: its place in the application.
            tools: what it offers.
            max_tokens: how long an answer may be, where the call does not say.
        """
        usual = {} if max_tokens is None else {"max_tokens": max_tokens}
        limits = {name: self.options[name] for name in _LENGTH_LIMITS if name in self.options} or usual
        return Step(
            messages=profiled(self.messages),
            tools=tools,
            response_schema=_schema(self.options.get("response_format")),
            context=placed.identity.context,
            task_type=placed.identity.task_type,
            framework_task=placed.framework_task,
            payload=limits or None,
        )

    def called(self, candidate: Candidate, messages: list[ChatMessage]) -> Called:
        """Return the arguments to call a candidate with; `messages` are those that it may see."""
        options = dict(self.options)
        if (choice := options.get("tool_choice")) is not None:
            options["tool_choice"] = choice_for(choice, candidate.vendor)
        if self.way == "complete":
            return (self.prompt,), options
        if self.way == "chat":
            return (messages,), options
        return (list(self.tools),), {**options, "chat_history": messages}

    def shown(self, shapes: ToolShapes) -> Sequence[Tool]:
        """Return the tools as they are profiled."""
        if self.tools:
            return shapes.of(self.tools)
        given = self.options.get("tools") or ()  # in OpenAI's form, by a caller that knows its candidates
        return [tool for tool in given if isinstance(tool, Mapping) and isinstance(tool.get("function"), Mapping)]


def method_of(model: LLM, way: Way, *, streamed: bool = False, asynchronous: bool = False) -> Any:
    """Return the method of a model by which it is called in that way."""
    name = f"{'a' if asynchronous else ''}{'stream_' if streamed else ''}{way}"
    method = getattr(model, name, None)
    if method is None:
        raise ConfigurationError(
            f"{type(model).__name__} has no {name}: it calls no tools, so say `capabilities.tools = false` of it"
        )
    return method


def choice_for(given: Any, vendor: str) -> Any:
    """Return a choice of tools in the words of a vendor. Users write a tool's name, a word, or one vendor's form."""
    word = given
    if isinstance(given, Mapping):
        function = given.get("function")
        word = function.get("name") if isinstance(function, Mapping) else given.get("name") or given.get("type")
    if vendor != "anthropic":
        own = isinstance(given, Mapping) and given.get("type") not in ("tool", "any", "auto", "none")
        return given if own else {"any": "required"}.get(word, word)
    if isinstance(given, Mapping) and given.get("type") in ("tool", "any", "auto", "none"):
        return given
    kinds = {"required": "any", "any": "any", "auto": "auto", "none": "none"}
    return {"type": kinds[word]} if word in kinds else {"type": "tool", "name": word}


def _checked(messages: Any) -> list[ChatMessage]:
    if isinstance(messages, str | ChatMessage) or not isinstance(messages, Iterable):
        raise ConfigurationError(
            f"messages is a {type(messages).__name__}; it must be a list of ChatMessages (`complete` takes text)"
        )
    said = list(messages)
    for place, message in enumerate(said):
        if not isinstance(message, ChatMessage):
            raise ConfigurationError(f"messages[{place}] is a {type(message).__name__}; it must be a ChatMessage")
    return said


def _schema(response_format: Any) -> Mapping[str, Any] | None:
    if not isinstance(response_format, Mapping):
        return None
    schema = (response_format.get("json_schema") or {}).get("schema")
    return schema if isinstance(schema, Mapping) else None
