"""Copies of the user's models with clients as routing needs them: without retries, and one set per event loop.

The SDK clients of OpenAI's and Anthropic's kind are rebuilt, known by the names under which the models hold them; of
other models the copy has the field `max_retries` at 0, which is what they read when they build a client or make a call.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from langchain_core.language_models import BaseChatModel

from taskrouter.adapters import LoopClients, is_sdk_client, noting, without_retries

_ASYNC_CLIENTS = ("root_async_client", "_async_client")
"""Where models of OpenAI's and of Anthropic's kind hold their SDK's asynchronous client."""
_SYNC_CLIENT = "_client"
"""Where models of Anthropic's kind hold their synchronous one; those of OpenAI's kind are given one beforehand."""
_TIMEOUTS = ("request_timeout", "default_request_timeout", "timeout")
"""What models call their limit, in seconds."""
_USERS_OWN = ("http_async_client", "openai_proxy", "anthropic_proxy")
"""Fields by which users bring an asynchronous HTTP client of their own making: it is left alone."""


def private_copy(model: BaseChatModel, timeout_s: float) -> BaseChatModel:
    """Return a copy that does not retry and counts tokens while streaming; the user's instance stays as it is.

    The router retries, and two layers of retries multiply. Connections are shared with the original. A synchronous call
    cannot be interrupted from outside, so the client is given the router's patience, if it has none of its own.
    """
    fields = type(model).model_fields
    update: dict[str, Any] = {}
    patience = {name: timeout_s for name in _TIMEOUTS if name in fields and getattr(model, name) is None}
    update.update(patience)
    if "max_retries" in fields:
        update["max_retries"] = 0
    if "stream_usage" in fields and getattr(model, "stream_usage", None) is None:
        update["stream_usage"] = True  # ChatOpenAI with a base_url leaves it off, and streams would have no usage
    for root, client in (("root_client", "client"), ("root_async_client", "async_client")):
        if (sdk := getattr(model, root, None)) is not None and hasattr(sdk, "with_options"):
            update[root] = without_retries(sdk, timeout_s if patience else None)
            update[client] = update[root].chat.completions
    copy = model.model_copy(update=update)
    for name in _cached_names(type(model)):  # clients that were built with the old settings
        copy.__dict__.pop(name, None)
    return copy


def prepared(model: BaseChatModel) -> BaseChatModel:
    """Return a copy of ours whose synchronous client hangs up when the reader of its stream leaves.

    Models of Anthropic's kind build it when they first call, which may be too early when they are made: without a key.
    """
    if _SYNC_CLIENT in _cached_names(type(model)) and is_sdk_client(client := getattr(model, _SYNC_CLIENT)):
        noting(client)
    return model


def _cached_names(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, cached_property)}


def loop_clients() -> LoopClients[BaseChatModel]:
    """Return the models for asynchronous calls.

    LangChain keeps one HTTP client per address for the whole process, so without them a second `asyncio.run` would find
    its connections dead.
    """
    return LoopClients(_async_client, _with_client)


def _async_client(model: BaseChatModel) -> Any | None:
    if any(getattr(model, name, None) for name in _USERS_OWN):
        return None
    name = _place_of(model)
    return None if name is None else getattr(model, name)


def _place_of(model: BaseChatModel) -> str | None:
    """Return where a model holds its SDK's asynchronous client, if one can be made after it."""
    return next((name for name in _ASYNC_CLIENTS if is_sdk_client(getattr(model, name, None))), None)


def _with_client(model: BaseChatModel, client: Any) -> BaseChatModel:
    name = _place_of(model)
    assert name is not None, "it has been found before"  # noqa: S101 - the contract of `LoopClients`
    copy = model.model_copy()
    copy.__dict__[name] = client  # a field of the one kind of model, a cached property of the other
    if "async_client" in copy.__dict__:
        copy.__dict__["async_client"] = client.chat.completions
    return copy
