"""Copies of the user's models with clients as routing needs them: without retries, and one set per event loop.

The SDK clients of OpenAI's and Anthropic's kind are rebuilt, known by the names under which the models hold them; of
other models the copy has the field `max_retries` at 0, which is what they read when they build a client or make a call.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any

from langchain_core.language_models import BaseChatModel

from taskrouter.execution.backends.loops import PerLoop

_ASYNC_CLIENTS = ("root_async_client", "_async_client")
"""Where models of OpenAI's and of Anthropic's kind hold their SDK's asynchronous client."""
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
            update[root] = sdk.with_options(max_retries=0, **({"timeout": timeout_s} if patience else {}))
            update[client] = update[root].chat.completions
    copy = model.model_copy(update=update)
    for name in _cached_names(type(model)):  # clients that were built with the old settings
        copy.__dict__.pop(name, None)
    return copy


def _cached_names(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, cached_property)}


class LoopClients:
    """The models for asynchronous calls: with clients of the running event loop.

    LangChain keeps one HTTP client per address for the whole process. Its connections belong to the loop that opened
    them, so a second `asyncio.run` would find them dead.
    """

    def __init__(self) -> None:
        self._models: PerLoop[tuple[BaseChatModel, Any]] = PerLoop(_close)
        self._held: dict[str, tuple[str, Any] | None] = {}
        """What each model's client is, as far as it was asked for: finding out takes longer than the rest."""

    async def get(self, key: str, model: BaseChatModel) -> BaseChatModel:
        """Return the model as it is to be called in the running loop."""
        if key not in self._held:
            self._held[key] = None if any(getattr(model, name, None) for name in _USERS_OWN) else _sdk_client(model)
        held = self._held[key]
        if held is None:
            return model
        return (await self._models.get(key, lambda: _with_fresh_client(model, *held)))[0]

    async def aclose(self) -> None:
        """Close the clients of the running loop."""
        await self._models.aclose()


def _sdk_client(model: BaseChatModel) -> tuple[str, Any] | None:
    """Return where a model holds its SDK's asynchronous client, and the client, if one can be made after it."""
    for name in _ASYNC_CLIENTS:
        client = getattr(model, name, None)
        if hasattr(client, "with_options") and hasattr(_sdk_of(client), "DefaultAsyncHttpxClient"):
            return name, client
    return None


def _sdk_of(client: Any) -> Any:
    return sys.modules[type(client).__module__.partition(".")[0]]  # the model has imported it


def _with_fresh_client(model: BaseChatModel, name: str, old: Any) -> tuple[BaseChatModel, Any]:
    fresh = old.with_options(http_client=_sdk_of(old).DefaultAsyncHttpxClient(base_url=old.base_url))
    copy = model.model_copy()
    copy.__dict__[name] = fresh  # a field of the one kind of model, a cached property of the other
    if "async_client" in copy.__dict__:
        copy.__dict__["async_client"] = fresh.chat.completions
    return copy, fresh


async def _close(kept: tuple[BaseChatModel, Any]) -> None:
    await kept[1].close()
