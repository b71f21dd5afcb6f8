"""Copies of the user's models with clients as routing needs them: without retries, and one set per event loop.

Only the SDK clients of OpenAI's kind (`root_client`, `root_async_client`) are rebuilt by name; of other models the copy
has the field `max_retries` at 0, which is what they read when they build a client or make a call.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any

from langchain_core.language_models import BaseChatModel

from taskrouter.execution.backends.loops import PerLoop

_USERS_OWN = ("http_async_client", "openai_proxy")
"""Fields by which users bring an asynchronous HTTP client of their own making: it is left alone."""


def private_copy(model: BaseChatModel) -> BaseChatModel:
    """Return a copy that does not retry and counts tokens while streaming; the user's instance stays as it is.

    The router retries, and two layers of retries multiply. Connections are shared with the original.
    """
    fields = type(model).model_fields
    update: dict[str, Any] = {}
    if "max_retries" in fields:
        update["max_retries"] = 0
    if "stream_usage" in fields and getattr(model, "stream_usage", None) is None:
        update["stream_usage"] = True  # ChatOpenAI with a base_url leaves it off, and streams would have no usage
    for root, client in (("root_client", "client"), ("root_async_client", "async_client")):
        if (sdk := getattr(model, root, None)) is not None and hasattr(sdk, "with_options"):
            update[root] = sdk.with_options(max_retries=0)
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
        self._models: PerLoop[BaseChatModel] = PerLoop(_close)

    async def get(self, key: str, model: BaseChatModel) -> BaseChatModel:
        """Return the model as it is to be called in the running loop."""
        if not _rebuildable(model):
            return model
        return await self._models.get(key, lambda: _with_fresh_client(model))

    async def aclose(self) -> None:
        """Close the clients of the running loop."""
        await self._models.aclose()


def _rebuildable(model: BaseChatModel) -> bool:
    sdk = getattr(model, "root_async_client", None)
    return hasattr(sdk, "with_options") and not any(getattr(model, name, None) for name in _USERS_OWN)


def _with_fresh_client(model: BaseChatModel) -> BaseChatModel:
    old: Any = model.root_async_client  # type: ignore[attr-defined] # `_rebuildable` has looked
    sdk: Any = sys.modules[type(old).__module__.partition(".")[0]]  # openai: the model has imported it
    fresh = old.with_options(http_client=sdk.DefaultAsyncHttpxClient(base_url=old.base_url))
    return model.model_copy(update={"root_async_client": fresh, "async_client": fresh.chat.completions})


async def _close(model: BaseChatModel) -> None:
    await model.root_async_client.close()  # type: ignore[attr-defined] # only models with a fresh client are kept
