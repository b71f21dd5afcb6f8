"""The OpenAI SDK, for OpenAI itself and for any server that speaks its chat-completions protocol."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from taskrouter.config import ModelConfig
from taskrouter.errors import BadAnswer, MissingExtraError
from taskrouter.execution.backends.loops import PerLoop
from taskrouter.execution.backends.request import chat_completion_request
from taskrouter.execution.views import chat_completion_view
from taskrouter.outcome import ResponseView
from taskrouter.step import Step

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI


class OpenAIBackend:
    """Calls models through `openai.OpenAI`, with one client per model (and event loop), and no retries of its own."""

    def __init__(self) -> None:
        self._clients: dict[str, OpenAI] = {}
        self._lock = threading.Lock()
        self._async_clients: PerLoop[AsyncOpenAI] = PerLoop(_aclose)

    def complete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Call the model; return a `ChatCompletion`."""
        request = chat_completion_request(model, step, stream=False)
        answer = self._client(model).chat.completions.create(model=_name(model), timeout=timeout_s, **request)
        return _checked(answer, model)

    async def acomplete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Call the model; return a `ChatCompletion`."""
        client = await self._async_clients.get(model.id, lambda: _sdk().AsyncOpenAI(**_client_options(model)))
        request = chat_completion_request(model, step, stream=False)
        answer = await client.chat.completions.create(model=_name(model), timeout=timeout_s, **request)
        return _checked(answer, model)

    def stream(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Iterator[Any]:
        """Open a stream of `ChatCompletionChunk`s."""
        request = chat_completion_request(model, step, stream=True)
        opened: Iterator[Any] = self._client(model).chat.completions.create(
            model=_name(model), timeout=timeout_s, **request
        )
        return opened

    async def astream(self, model: ModelConfig, step: Step, timeout_s: float | None) -> AsyncIterator[Any]:
        """Open a stream of `ChatCompletionChunk`s."""
        client = await self._async_clients.get(model.id, lambda: _sdk().AsyncOpenAI(**_client_options(model)))
        request = chat_completion_request(model, step, stream=True)
        opened: AsyncIterator[Any] = await client.chat.completions.create(
            model=_name(model), timeout=timeout_s, **request
        )
        return opened

    def view(self, native: Any) -> ResponseView:
        """Read a completion or a chunk."""
        return chat_completion_view(native)

    def close(self) -> None:
        """Close the synchronous clients."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    async def aclose(self) -> None:
        """Close the clients of the running event loop."""
        await self._async_clients.aclose()

    def _client(self, model: ModelConfig) -> OpenAI:
        with self._lock:
            client = self._clients.get(model.id)
            if client is None:
                client = self._clients[model.id] = _sdk().OpenAI(**_client_options(model))
        return client


async def _aclose(client: AsyncOpenAI) -> None:
    await client.close()


def _checked(answer: Any, model: ModelConfig) -> Any:
    """Return the answer if it is one: of a page that is no JSON, such as a proxy's login, the SDK returns the text."""
    if isinstance(answer, str):
        raise BadAnswer(
            model.id, detail="answered with a text that is no chat completion: check `base_url` in its card"
        )
    return answer


def _client_options(model: ModelConfig) -> dict[str, Any]:
    options: dict[str, Any] = {"max_retries": 0}  # the engine retries: two layers of retries multiply
    if model.base_url is not None:
        options["base_url"] = model.base_url
    if (key := model.secret()) is not None:
        options["api_key"] = key
    elif model.base_url is not None:
        options["api_key"] = "none"  # a server of the user's own may want no key; the SDK insists on one
    return options


def _name(model: ModelConfig) -> str:
    return model.model.removeprefix("openai/")


def _sdk() -> Any:
    try:
        return import_module("openai")
    except ModuleNotFoundError as error:
        raise MissingExtraError("openai", extra="openai", wanted_for="the backend 'openai'") from error
