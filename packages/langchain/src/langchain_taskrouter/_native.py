"""What one provider alone understands: tools that it runs itself (web search, ...), marks for its cache.

Such tools do not translate: an integration that does not know one turns it into a function of that name, silently, or
sends it on and the provider refuses the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Native(NamedTuple):
    """One kind of a provider's own tools."""

    vendors: frozenset[str]
    """Integrations that pass it on as it is, by `vendor_of`."""
    purpose: str
    """What it is for: tools of several vendors with one purpose stand in for each other."""


_GOOGLE = ("google_genai", "google_vertexai")
_BY_TYPE = (
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview: a name and a date
    (r"web_search_20\d{6}", "web search", "anthropic"),
    (r"web_fetch_20\d{6}", "web fetch", "anthropic"),
    (r"code_execution_20\d{6}", "code execution", "anthropic"),
    (r"computer_20\d{6}", "computer use", "anthropic"),
    (r"bash_20\d{6}", "shell", "anthropic"),
    (r"text_editor_20\d{6}", "text editor", "anthropic"),
    (r"memory_20\d{6}", "memory", "anthropic"),
    (r"tool_search_tool_\w+_20\d{6}", "tool search", "anthropic"),
    (r"mcp_toolset", "mcp", "anthropic"),
    # https://platform.openai.com/docs/guides/tools
    (r"web_search(_preview)?(_20\d\d_\d\d_\d\d)?", "web search", "openai"),
    (r"file_search", "file search", "openai"),
    (r"code_interpreter", "code execution", "openai"),
    (r"computer(_use_preview)?", "computer use", "openai"),
    (r"image_generation", "image generation", "openai"),
    (r"(local_)?shell", "shell", "openai"),
    (r"apply_patch", "text editor", "openai"),
    (r"mcp", "mcp", "openai"),
    (r"tool_search", "tool search", "openai"),
    (r"custom", "custom tools", "openai"),
)
_TYPES = [(re.compile(pattern), Native(frozenset({vendor}), purpose)) for pattern, purpose, vendor in _BY_TYPE]
_KEYS = {  # https://ai.google.dev/gemini-api/docs/tools: the key is the tool
    "google_search": "web search",
    "google_search_retrieval": "web search",
    "enterprise_web_search": "web search",
    "url_context": "web fetch",
    "code_execution": "code execution",
    "file_search": "file search",
    "computer_use": "computer use",
    "google_maps": "maps",
}
_VENDORS_OWN = {
    "cache_control": "anthropic",
    "prompt_cache_key": "openai",
    "prompt_cache_retention": "openai",
    "previous_response_id": "openai",
}
_FUNCTION_KEYS = ("function", "parameters", "input_schema", "toolSpec", "properties")


def is_native(tool: object) -> bool:
    """Whether a tool is run by its provider, so that no other provider knows it."""
    if not isinstance(tool, Mapping) or any(name in tool for name in _FUNCTION_KEYS):
        return False
    return tool.get("type") not in (None, "function", "object") or ("name" not in tool and "title" not in tool)


def native(tool: Mapping[str, Any], home: str) -> Native:
    """Return what is known of a provider's own tool; one that nobody knows is taken for one of the vendor `home`."""
    said = str(tool.get("type") or "")
    found = next((known for pattern, known in _TYPES if pattern.fullmatch(said)), None)
    if found is None and not said:
        found = next((Native(frozenset(_GOOGLE), _KEYS[key]) for key in tool if key in _KEYS), None)
    return found or Native(frozenset({home}), said or next(iter(tool), "a tool"))


def fitting(tools: Iterable[Any], vendor: str, home: str) -> list[Any]:
    """Return the tools to give to a model of a vendor: all but the own tools of other vendors."""
    known = (tool for tool in tools if not is_native(tool) or vendor in native(tool, home).vendors)
    return [meant_for(vendor, tool) if isinstance(tool, dict) else tool for tool in known]


def meant_for(vendor: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given without the marks that another vendor alone understands."""
    return {name: value for name, value in given.items() if _VENDORS_OWN.get(name, vendor) == vendor}


def lacking(tools: Sequence[Any], vendor: str, home: str) -> list[str]:
    """Return the purposes of provider's tools for which a vendor has none among them; empty: it can take the step."""
    known = [native(tool, home) for tool in tools if is_native(tool)]
    served = {each.purpose for each in known if vendor in each.vendors}
    return sorted({each.purpose for each in known} - served)
