"""Tools as LangChain binds them: shown in OpenAI's format, kept as they were given for the model that is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from taskrouter.step import Tool

ToolSpec: TypeAlias = dict[str, Any] | type | Callable[..., Any] | BaseTool


class BoundTools:
    """The tools of one `bind_tools`, with the names of the arguments that were given beside them."""

    def __init__(self, tools: Sequence[ToolSpec], arguments: Sequence[str] = ()) -> None:
        self.given = tuple(tools)
        self.arguments = frozenset({"tool_choice", *arguments})
        self.shown: list[dict[str, Any]] = [_shown(tool) for tool in tools]
        """For the cache key, for `disable_streaming` and for traces; a provider's own tool is shown as it is."""
        self.native = any(is_native(tool) for tool in tools)

    def profiled(self) -> list[Tool]:
        """Return the tools as the router profiles and checks them."""
        return [_profiled(tool) for tool in self.shown]

    def __repr__(self) -> str:
        return f"BoundTools({len(self.given)})"


def _shown(tool: ToolSpec) -> dict[str, Any]:
    return tool if isinstance(tool, dict) and is_native(tool) else convert_to_openai_tool(tool)


def is_native(tool: ToolSpec) -> bool:
    """Whether a tool is run by its provider (web search, computer use, ...), so that no other provider knows it."""
    if not isinstance(tool, dict):
        return False
    if any(name in tool for name in ("function", "parameters", "input_schema", "toolSpec", "properties")):
        return False
    return tool.get("type") not in (None, "function", "object") or ("name" not in tool and "title" not in tool)


def _profiled(tool: Mapping[str, Any]) -> Tool:
    if "function" in tool:
        return tool
    function = {name: tool[name] for name in ("description", "parameters") if name in tool}
    name = tool.get("name") or tool.get("type") or next(iter(tool), "tool")
    return {"type": "function", "function": {"name": str(name), **function}}
