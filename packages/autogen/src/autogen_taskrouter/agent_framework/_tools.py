"""Tools that a provider runs itself (web search, code interpreter, ...): who knows which.

Clients make them by factories (`get_web_search_tool`, ...), as dictionaries in their vendor's words. They do not
translate: a client that does not know one sends it on, and its provider refuses the request. So a candidate is given
those that its own class makes, and takes no step for which it lacks one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from agent_framework import FunctionTool

from autogen_taskrouter.agent_framework._candidates import Candidate
from taskrouter.errors import ConfigurationError

_FACTORIES = (
    (r"web_search.*|google_search.*|bing_.*", "get_web_search_tool"),
    (r"code_interpreter.*|code_execution.*", "get_code_interpreter_tool"),
    (r"file_search.*", "get_file_search_tool"),
    (r"image_generation.*", "get_image_generation_tool"),
    (r"mcp.*", "get_mcp_tool"),
    (r"(local_)?shell.*|bash_.*", "get_shell_tool"),
    (r"computer.*", "get_computer_tool"),
)
_DATED = re.compile(r".*_20\d{6}")
"""Anthropic's way to name a tool: with the day of its version."""


def is_hosted(tool: Any) -> bool:
    """Whether a tool is run by its provider."""
    return not isinstance(tool, FunctionTool) and not callable(tool) and _type(tool) not in ("", "function")


def able(tools: Sequence[Any], pool: Mapping[str, Candidate], incumbent: str) -> list[str]:
    """Return the ids of the candidates that have a tool for every purpose that the providers' own tools serve.

    Args:
        tools: the tools of a call.
        pool: the candidates.
        incumbent: whose class a tool belongs to that no factory is known for.

    Raises:
        ConfigurationError: there is no such candidate.
    """
    hosted = [tool for tool in tools if is_hosted(tool)]
    purposes = {_purpose(tool) for tool in hosted}
    found = [
        name
        for name, candidate in pool.items()
        if purposes <= {_purpose(tool) for tool in hosted if _knows(candidate, tool, pool[incumbent])}
    ]
    if not found:
        raise ConfigurationError(
            f"tools: no candidate's client makes the provider's own tool{'s' if len(hosted) > 1 else ''} "
            f"{', '.join(sorted({_type(tool) for tool in hosted}))}; give a candidate whose class does"
        )
    return found


def fitting(tools: Iterable[Any], candidate: Candidate, incumbent: Candidate) -> list[Any]:
    """Return the tools to give to a candidate: all but the own tools of other providers."""
    return [tool for tool in tools if not is_hosted(tool) or _knows(candidate, tool, incumbent)]


def _knows(candidate: Candidate, tool: Any, incumbent: Candidate) -> bool:
    factory = _factory(_type(tool))
    if factory is None:
        return type(candidate.given) is type(incumbent.given)
    if not hasattr(type(candidate.given), factory):
        return False
    made = _made(type(candidate.given), factory)
    return made is None or bool(_DATED.fullmatch(made)) == bool(_DATED.fullmatch(_type(tool)))


def _purpose(tool: Any) -> str:
    return _factory(_type(tool)) or _type(tool)


def _factory(kind: str) -> str | None:
    return next((name for pattern, name in _FACTORIES if re.fullmatch(pattern, kind)), None)


@lru_cache(maxsize=256)
def _made(cls: type, factory: str) -> str | None:
    """Return the type of what a class's factory makes; None: it cannot be had without knowing what it is for."""
    try:
        return _type(getattr(cls, factory)()) or None
    except (TypeError, ValueError):  # arguments are missing
        return None


def _type(tool: Any) -> str:
    return str((tool.get("type") if isinstance(tool, Mapping) else getattr(tool, "type", None)) or "")
