"""A chat client for Microsoft's Agent Framework that sends each call to the right one of several models.

It is loaded when it is first used: whoever has AutoGen alone should not need the Agent Framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autogen_taskrouter.agent_framework.chat_client import RoutedChatClient

__all__ = ["RoutedChatClient"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.chat_client")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "agent_framework":
            raise
        raise ImportError(
            f"{name} needs 'agent_framework', which is not installed: pip install 'autogen-taskrouter[agent-framework]'"
        ) from error
    value = globals()[name] = getattr(module, name)
    return value
