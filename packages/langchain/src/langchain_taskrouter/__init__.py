"""A LangChain chat model, and a middleware for its agents, that send each step to the right one of several models.

Both are loaded when they are first used: TaskRouter finds this package's plugin through its entry point, and its
command line should not wait for LangChain.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_taskrouter.chat_model import RoutedChatModel
    from langchain_taskrouter.middleware import RoutingMiddleware

__all__ = ["RoutedChatModel", "RoutingMiddleware"]

_HOMES = {"RoutedChatModel": "chat_model", "RoutingMiddleware": "middleware"}
_AGENTS = ("langchain", "langgraph")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'langchain_taskrouter' has no attribute {name!r}")
    try:
        module = import_module(f"langchain_taskrouter.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _AGENTS:
            raise
        raise ImportError(
            f"{name} needs {error.name!r}, which is not installed: pip install 'langchain-taskrouter[agents]'"
        ) from error
    value = globals()[name] = getattr(module, name)
    return value
