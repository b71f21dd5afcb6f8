"""Copies of the user's clients with SDK clients as routing needs them: without retries, and one set per event loop.

SDK clients of OpenAI's and Anthropic's kind are known by what they can do, wherever a chat client holds them. Other
vendors' clients are used as they are.
"""

from __future__ import annotations

import copy
from typing import Any

from agent_framework import BaseChatClient, FunctionInvocationLayer

from taskrouter.adapters import LoopClients, has_usual_connections, is_sdk_client, without_retries

Client = BaseChatClient[Any]
_FRAMEWORKS = ("_FeatureUsageAsyncHttpxClient",)
"""The class of the HTTP client that the framework makes for the SDKs."""


def private_copy(client: Client) -> Client:
    """Return a copy that does not retry and runs no tools, over the same connections; the user's instance stays.

    The router retries, and two layers of retries multiply. Tools run in the routed client's loop.
    """
    private = copy.copy(client)
    if isinstance(private, FunctionInvocationLayer):
        given = private.function_invocation_configuration
        private.function_invocation_configuration = {**given, "enabled": False}
    for name, held in vars(client).items():
        if is_sdk_client(held):
            setattr(private, name, without_retries(held))
    return private


def loop_clients() -> LoopClients[Client]:
    """Return the clients for calls: without them a second `asyncio.run` would find its connections dead."""
    return LoopClients(_async_client, _with_client)


def _async_client(client: Client) -> Any | None:
    name = _place_of(client)
    return None if name is None else getattr(client, name)


def _place_of(client: Client) -> str | None:
    """Return where a client holds its SDK's asynchronous client, if one can be made after it."""
    clients = ((name, held) for name, held in vars(client).items() if is_sdk_client(held))
    return next((name for name, held in clients if has_usual_connections(held, _FRAMEWORKS)), None)


def _with_client(client: Client, sdk_client: Any) -> Client:
    name = _place_of(client)
    assert name is not None, "it has been found before"  # noqa: S101 - the contract of `LoopClients`
    hooks = getattr(client, name)._client.event_hooks  # noqa: SLF001 - SDKs do not show their HTTP client
    sdk_client._client.event_hooks = hooks  # noqa: SLF001 - as above
    private = copy.copy(client)
    setattr(private, name, sdk_client)
    return private
