"""A LangChain chat model that sends each step of an agent to the right one of several models.

`RoutedChatModel` is loaded when it is first used: TaskRouter finds this package's plugin through its entry point, and
its command line should not wait for LangChain.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_taskrouter.chat_model import RoutedChatModel

__all__ = ["RoutedChatModel"]


def __getattr__(name: str) -> Any:
    if name != "RoutedChatModel":
        raise AttributeError(f"module 'langchain_taskrouter' has no attribute {name!r}")
    value = import_module("langchain_taskrouter.chat_model").RoutedChatModel
    globals()[name] = value
    return value
