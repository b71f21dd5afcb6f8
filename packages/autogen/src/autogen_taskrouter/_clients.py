"""Copies of the user's clients as routing needs them: without retries, and one set of connections per event loop.

Clients over the SDKs of OpenAI's and Anthropic's kind are rebuilt around a copy of their SDK client, also inside a
wrapper such as `ChatCompletionCache`. A client of another shape is used as it is. All of this is private API of
autogen-ext, used here and nowhere else; `tests/autogen/test_private_api.py` fails when it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from autogen_core.models import ChatCompletionClient

from taskrouter.adapters import LoopClients, has_usual_connections, is_sdk_client, without_retries

T = TypeVar("T")

_SDK = "_client"
"""Where clients of OpenAI's and of Anthropic's kind hold their SDK's client."""
_INNER = "client"
"""Where wrappers hold what they wrap."""
_RESOLVED = "_resolved_model"
"""What OpenAI's kind takes a model's name for; it warns at every answer under another name, such as a proxy's."""


def private_copy(client: ChatCompletionClient) -> ChatCompletionClient:
    """Return a copy that does not retry; the user's instance stays as it is, also in what it counts.

    The router retries, and two layers of retries multiply. Connections are shared with the original.
    """
    sdk = sdk_client(client)
    return client if sdk is None else with_sdk_client(client, without_retries(sdk))


def loop_clients() -> LoopClients[ChatCompletionClient]:
    """Return the clients by event loop: connections belong to the loop that opened them."""
    return LoopClients(_replaceable, with_sdk_client)


def holder(client: ChatCompletionClient) -> ChatCompletionClient:
    """Return the client that makes the calls: itself, or the one that it wraps."""
    inner = vars(client).get(_INNER)
    return holder(inner) if isinstance(inner, ChatCompletionClient) else client


def sdk_client(client: ChatCompletionClient) -> Any | None:
    """Return the SDK's client beneath, if it is of the kind that can be copied."""
    sdk = vars(holder(client)).get(_SDK)
    return sdk if is_sdk_client(sdk) else None


def with_sdk_client(client: ChatCompletionClient, sdk: Any) -> ChatCompletionClient:
    """Return a copy over another SDK client."""
    inner = vars(client).get(_INNER)
    if isinstance(inner, ChatCompletionClient):
        return _copied(client, {_INNER: with_sdk_client(inner, sdk)})
    quiet = {_RESOLVED: None} if _RESOLVED in vars(client) else {}
    return _copied(client, {_SDK: sdk, **quiet})


def settings(client: ChatCompletionClient) -> Mapping[str, Any]:
    """Return the request parameters that a client was made with."""
    found = vars(holder(client)).get("_create_args")
    return found if isinstance(found, Mapping) else {}


def _replaceable(client: ChatCompletionClient) -> Any | None:
    """Return the SDK's client, if one can be made after it: an HTTP client of the user's making is left alone."""
    sdk = sdk_client(client)
    return sdk if has_usual_connections(sdk) else None


def _copied(client: T, update: Mapping[str, Any]) -> T:
    # Not `copy.copy`: AutoGen's clients would build a new SDK client from what they were made with, and some leave the
    # address out of it.
    copy = object.__new__(type(client))
    copy.__dict__.update({**vars(client), **update})
    return copy
