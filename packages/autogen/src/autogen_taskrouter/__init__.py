"""A model client for AutoGen that sends each step of an agent to the right one of several models.

It is loaded when it is first used, so that importing the package waits for no framework. The client for Microsoft's
Agent Framework is in `autogen_taskrouter.agent_framework`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autogen_taskrouter._answer import RoutedCreateResult, RoutedUsage
    from autogen_taskrouter.client import RoutedChatCompletionClient

__all__ = ["RoutedChatCompletionClient", "RoutedCreateResult", "RoutedUsage"]

_HOMES = {"RoutedChatCompletionClient": "client", "RoutedCreateResult": "_answer", "RoutedUsage": "_answer"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autogen_taskrouter' has no attribute {name!r}")
    module = import_module(f"autogen_taskrouter.{_HOMES[name]}")
    value = globals()[name] = getattr(module, name)
    return value
