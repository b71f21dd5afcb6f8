"""One call to the routed model, as it came in: what to profile, and what each candidate is to be called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableBinding

from langchain_taskrouter._candidates import Candidate
from langchain_taskrouter._identity import Identity
from langchain_taskrouter._messages import chat_messages
from langchain_taskrouter._tools import BoundTools
from taskrouter import ConfigurationError, Step

CONFIG, TOOLS = "taskrouter_config", "taskrouter_tools"
"""Keyword arguments of our own, which go neither into LangChain's cache key nor to a candidate."""
OWN = frozenset({CONFIG, TOOLS})


def without_own(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments that are LangChain's and the provider's."""
    return {name: value for name, value in kwargs.items() if name not in OWN}


@dataclass(frozen=True, slots=True)
class Request:
    """The native request. Messages and tools go to a candidate as they are."""

    messages: list[BaseMessage]
    stop: list[str] | None
    options: Mapping[str, Any]
    tools: BoundTools | None
    pinned: str | None
    """The candidate that the call itself names (`model=`)."""

    @classmethod
    def of(cls, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]) -> Request:
        """Take the keyword arguments of a call apart."""
        options = without_own(kwargs)
        pinned = options.pop("model", None)
        bound: BoundTools | None = kwargs.get(TOOLS)
        if (shown := options.get("tools")) is not None and (bound is None or shown != bound.shown):
            bound = BoundTools(shown)  # bound by hand, or replaced since
        options.pop("tools", None)
        return cls(messages, stop, options, bound, pinned)

    def step(self, identity: Identity) -> Step:
        """Return the step to profile."""
        return Step(
            messages=chat_messages(self.messages),
            tools=self.tools.profiled() if self.tools else (),
            response_schema=_schema(self.options.get("response_format")),
            context=identity.context,
            task_type=identity.task_type,
        )

    def stop_for(self, candidate: Candidate) -> list[str] | None:
        """Return the stop sequences to call a candidate with: the call's, else its own."""
        return candidate.options.get("stop") if self.stop is None else self.stop

    def options_for(self, candidate: Candidate, model: BaseChatModel) -> dict[str, Any]:
        """Return the keyword arguments to call a candidate with: its own first, then the call's, its tools as it binds
        them.
        """
        options = {**candidate.options, **self.options}
        options.pop("stop", None)  # it goes beside them: `stop_for`
        if self.tools is None:
            return options
        arguments = {name: options.pop(name) for name in self.tools.arguments & options.keys()}
        binding = model.bind_tools(list(self.tools.given), **arguments)
        if not isinstance(binding, RunnableBinding):
            raise ConfigurationError(f"{type(model).__name__}.bind_tools returns no RunnableBinding")
        bound = {**options, **binding.kwargs}
        if not bound.get("tools"):  # `create_agent` binds an empty list to get at `response_format`; OpenAI refuses it
            bound.pop("tools", None)
        return bound


def _schema(response_format: Any) -> Mapping[str, Any] | None:
    if not isinstance(response_format, Mapping):
        return None
    schema = (response_format.get("json_schema") or {}).get("schema")
    return schema if isinstance(schema, Mapping) else None
