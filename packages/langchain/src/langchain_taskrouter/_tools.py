"""Tools as LangChain binds them: shown in OpenAI's format, kept as they were given for the model that is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableBinding
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_taskrouter._candidates import Candidate
from langchain_taskrouter._native import fitting, is_native, lacking
from taskrouter import ConfigurationError
from taskrouter.step import Tool

ToolSpec: TypeAlias = dict[str, Any] | type | Callable[..., Any] | BaseTool


class BoundTools:
    """The tools of one `bind_tools`, with the names of the arguments that were given beside them."""

    def __init__(self, tools: Sequence[ToolSpec], arguments: Sequence[str] = ()) -> None:
        self.given = tuple(tools)
        self.arguments = frozenset({"tool_choice", *arguments})
        self.shown: list[dict[str, Any]] = [_shown(tool) for tool in tools]
        """For the cache key, for `disable_streaming` and for traces; a provider's own tool is shown as it is."""
        self._bindings: dict[tuple[str, str], dict[str, Any]] = {}

    def profiled(self) -> list[Tool]:
        """Return the tools as the router profiles and checks them."""
        return [_profiled(tool) for tool in self.shown]

    def among(self, candidates: Iterable[Candidate], home: str) -> list[str]:
        """Return the ids of the candidates whose provider has the tools that a provider runs itself.

        Args:
            candidates: the pool.
            home: the incumbent's vendor, whose a provider's tool is that nobody knows.

        Raises:
            ConfigurationError: there is none; the message says what each of them lacks.
        """
        missing = {candidate.id: lacking(self.given, candidate.vendor, home) for candidate in candidates}
        able = [name for name, purposes in missing.items() if not purposes]
        if not able:
            each = "; ".join(f"{name!r} has no {', '.join(purposes)}" for name, purposes in missing.items())
            raise ConfigurationError(f"tools: no candidate's provider has all of them: {each}")
        return able

    def bound(self, candidate: Candidate, home: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments with which a candidate binds the tools that are meant for its vendor.

        Args:
            candidate: the candidate.
            home: the incumbent's vendor, whose a provider's tool is that nobody knows.
            arguments: what its `bind_tools` is given beside the tools.

        Raises:
            ConfigurationError: the candidate's `bind_tools` returns no binding.
        """
        if "tool_choice" in arguments:
            arguments = {**arguments, "tool_choice": choice_for(arguments["tool_choice"], candidate.vendor)}
        key = candidate.id, repr(sorted(arguments.items(), key=itemgetter(0)))
        if (known := self._bindings.get(key)) is not None:
            return dict(known)
        binding = candidate.model.bind_tools(fitting(self.given, candidate.vendor, home), **arguments)
        if not isinstance(binding, RunnableBinding):
            raise ConfigurationError(f"{type(candidate.model).__name__}.bind_tools returns no RunnableBinding")
        bound = dict(binding.kwargs)
        if not bound.get("tools"):  # `create_agent` binds an empty list to get at `response_format`; OpenAI refuses it
            bound.pop("tools", None)
        self._bindings[key] = bound
        return dict(bound)

    def __repr__(self) -> str:
        return f"BoundTools({len(self.given)})"


def _shown(tool: ToolSpec) -> dict[str, Any]:
    return tool if isinstance(tool, dict) and is_native(tool) else convert_to_openai_tool(tool)


def choice_for(given: Any, vendor: str) -> Any:
    """Return a choice of tools in the words that every integration takes: `any`, `auto`, `none` or a tool's name.

    Users write one vendor's wire format too. A model of that vendor gets it as it is.
    """
    if isinstance(given, Mapping):
        if isinstance(function := given.get("function"), Mapping):
            given = function.get("name")
        elif vendor != "anthropic" and given.get("type") in ("tool", "any", "auto", "none"):
            given = given.get("name") or given["type"]
    if given in ("required", True):
        given = "any"
    return {"type": "none"} if given == "none" and vendor == "anthropic" else given


def _profiled(tool: Mapping[str, Any]) -> Tool:
    if "function" in tool:
        return tool
    function = {name: tool[name] for name in ("description", "parameters") if name in tool}
    name = tool.get("name") or tool.get("type") or next(iter(tool), "tool")
    return {"type": "function", "function": {"name": str(name), **function}}
