"""One call of the routed client, as it came in: what to profile, and what each candidate is to be called with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_framework import Message, normalize_tools

from autogen_taskrouter.agent_framework._candidates import Candidate
from autogen_taskrouter.agent_framework._identity import SURROUNDINGS
from autogen_taskrouter.agent_framework._messages import chat_messages, function_tools, response_schema
from autogen_taskrouter.agent_framework._tools import fitting, is_hosted
from taskrouter import Step
from taskrouter.adapters import KEY, Identity

_OWN = frozenset({KEY, SURROUNDINGS})
"""Keys of `client_kwargs` that are ours, and go to no candidate."""
_STORED = ("conversation_id", "previous_response_id", "conversation")
"""Options that name what a provider keeps."""
_FILES = frozenset({"hosted_file", "hosted_vector_store"})
_LENGTH_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Request:
    """The native request."""

    messages: Sequence[Message]
    options: Mapping[str, Any]
    kwargs: Mapping[str, Any]
    """For the candidates: the call's `client_kwargs` without ours."""
    tools: Sequence[Any]
    pinned: str | None
    """The candidate that the call itself names: `options["model"]`."""

    @classmethod
    def of(cls, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Request:
        """Take a call apart."""
        return cls(
            messages,
            {name: value for name, value in options.items() if name != "model"},
            {name: value for name, value in kwargs.items() if name not in _OWN},
            normalize_tools(options.get("tools")),
            options.get("model"),
        )

    @property
    def conversation_id(self) -> str | None:
        """What the provider keeps that the call goes on with."""
        found = (self.options.get(name) for name in _STORED)
        return next((name for name in found if isinstance(name, str) and name), None)

    @property
    def continuation(self) -> str | None:
        """The answer that goes on at its provider's, and is asked for again."""
        token = self.options.get("continuation_token")
        return token.get("response_id") if isinstance(token, Mapping) else None

    @property
    def stores(self) -> bool:
        """Whether the call is to be kept by its provider."""
        return bool(self.options.get("store")) or self.conversation_id is not None or self.continuation is not None

    @property
    def has_hosted_tools(self) -> bool:
        """Whether there are tools that a provider runs itself."""
        return any(is_hosted(tool) for tool in self.tools)

    @property
    def has_files(self) -> bool:
        """Whether people or tools have given what lies at a provider, and is told by its id."""
        others = (message for message in self.messages if message.role != "assistant")
        return any(content.type in _FILES for message in others for content in message.contents)

    def step(self, identity: Identity) -> Step:
        """Return the step to profile."""
        options = self.options
        limits = {name: limit for name in _LENGTH_LIMITS if (limit := options.get(name)) is not None}
        return Step(
            messages=chat_messages(self.messages, options.get("instructions")),
            tools=function_tools(self.tools),
            response_schema=response_schema(options.get("response_format")),
            context=identity.context,
            task_type=identity.task_type,
            payload=limits or None,
        )

    def options_for(self, candidate: Candidate, incumbent: Candidate) -> dict[str, Any]:
        """Return the options to call a candidate with, in a dictionary of their own: clients take things off it.

        A conversation that its provider kept could not go on with another one. So it is kept only if the call says so.
        """
        options = dict(self.options)
        if self.has_hosted_tools:
            options["tools"] = fitting(self.tools, candidate, incumbent)
        if candidate.stores and not self.stores:
            options["store"] = False
        return options
