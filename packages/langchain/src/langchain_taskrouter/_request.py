"""One call to the routed model, as it came in: what to profile, and what each candidate is to be called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_taskrouter._candidates import Candidate
from langchain_taskrouter._messages import chat_messages
from langchain_taskrouter._native import meant_for
from langchain_taskrouter._structured import StructuredOutput
from langchain_taskrouter._tools import BoundTools
from taskrouter import Step
from taskrouter.adapters import Identity
from taskrouter.step import Tool

CONFIG, TOOLS, SCHEMA = "taskrouter_config", "taskrouter_tools", "taskrouter_schema"
"""Keyword arguments of our own, which go neither into LangChain's cache key nor to a candidate."""
OWN = frozenset({CONFIG, TOOLS, SCHEMA})
_LENGTH_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


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
    structured: StructuredOutput | None
    pinned: str | None
    """The candidate that the call itself names (`model=`)."""

    @classmethod
    def of(cls, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]) -> Request:
        """Take the keyword arguments of a call apart."""
        options = without_own(kwargs)
        pinned = options.pop("model", None)
        structured: StructuredOutput | None = kwargs.get(SCHEMA)
        if structured is not None:  # what stands for it is not for the candidates: each is asked in its own way
            options = {name: value for name, value in options.items() if name not in structured.shown}
        bound: BoundTools | None = kwargs.get(TOOLS)
        if (shown := options.get("tools")) is not None and (bound is None or shown != bound.shown):
            bound = BoundTools(shown)  # bound by hand, or replaced since
        options.pop("tools", None)
        return cls(messages, stop, options, bound, structured, pinned)

    def step(self, identity: Identity) -> Step:
        """Return the step to profile."""
        limits = {name: self.options[name] for name in _LENGTH_LIMITS if name in self.options}
        return Step(
            messages=chat_messages(self.messages),
            tools=self._tools(),
            response_schema=self._schema(),
            context=identity.context,
            task_type=identity.task_type,
            payload=limits or None,
        )

    def stop_for(self, candidate: Candidate) -> list[str] | None:
        """Return the stop sequences to call a candidate with: the call's, else its own."""
        return candidate.options.get("stop") if self.stop is None else self.stop

    def options_for(self, candidate: Candidate, home: str) -> dict[str, Any]:
        """Return the keyword arguments to call a candidate with: its own first, then the call's, its tools and its
        structured output as it binds them.

        Args:
            candidate: the candidate.
            home: the incumbent's vendor.
        """
        options = {**candidate.options, **meant_for(candidate.vendor, self.options)}
        options.pop("stop", None)  # it goes beside them: `stop_for`
        if self.structured is not None:
            return {**options, **self.structured.bound(candidate)}
        if self.tools is None:
            return options
        arguments = {name: options.pop(name) for name in self.tools.arguments & options.keys()}
        return {**options, **self.tools.bound(candidate, home, arguments)}

    def _tools(self) -> list[Tool]:
        if self.structured is not None:
            return self.structured.offered
        return self.tools.profiled() if self.tools else []

    def _schema(self) -> Mapping[str, Any] | None:
        response_format = self.options.get("response_format")
        if not isinstance(response_format, Mapping):
            return None
        schema = (response_format.get("json_schema") or {}).get("schema")
        return schema if isinstance(schema, Mapping) else None
