"""The OpenAI SDK, for OpenAI itself and for any server that speaks its chat-completions protocol."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from taskrouter.config import ModelConfig
from taskrouter.errors import BadAnswer, MissingExtraError
from taskrouter.execution.backends.chunks import text_chunk_view
from taskrouter.execution.backends.loops import PerLoop
from taskrouter.execution.backends.request import chat_completion_request
from taskrouter.execution.views import chat_completion_view
from taskrouter.outcome import ResponseView
from taskrouter.step import Step

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI


class OpenAIBackend:
    """Calls models through `openai.OpenAI`, with no retries of its own.

    Each model has a client; all of them, in sync code or in one event loop, share one pool of connections: making a
    pool takes tens of milliseconds, and a model that is called for the first time may be called because another failed.
    """

    def __init__(self) -> None:
        self._clients: _Clients | None = None
        self._lock = threading.Lock()
        self._async_clients: PerLoop[_AsyncClients] = PerLoop(_AsyncClients.aclose)

    def complete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Call the model; return a `ChatCompletion`."""
        request = chat_completion_request(model, step, stream=False)
        answer = self._client(model).chat.completions.create(model=_name(model), timeout=timeout_s, **request)
        return _checked(answer, model)

    async def acomplete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Call the model; return a `ChatCompletion`."""
        client = await self._async_client(model)
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
        client = await self._async_client(model)
        request = chat_completion_request(model, step, stream=True)
        opened: AsyncIterator[Any] = await client.chat.completions.create(
            model=_name(model), timeout=timeout_s, **request
        )
        return opened

    def warm(self, model: ModelConfig, timeout_s: float) -> None:
        """Import the SDK and connect. Any answer will do: a server without a list of models is connected to as well."""
        client = self._client(model)
        with suppress(_sdk().APIStatusError):
            client.with_options(timeout=timeout_s).models.list()

    def view(self, native: Any) -> ResponseView:
        """Read a completion or a chunk."""
        return text_chunk_view(native) or chat_completion_view(native)

    def close(self) -> None:
        """Close the synchronous clients."""
        with self._lock:
            clients, self._clients = self._clients, None
        if clients is not None:
            clients.close()

    async def aclose(self) -> None:
        """Close the clients of the running event loop."""
        await self._async_clients.aclose()

    def _client(self, model: ModelConfig) -> OpenAI:
        with self._lock:
            if self._clients is None:
                self._clients = _Clients()
            return self._clients.of(model)

    async def _async_client(self, model: ModelConfig) -> AsyncOpenAI:
        return (await self._async_clients.get("clients", _AsyncClients)).of(model)


class _Clients:
    """The synchronous clients by model, over one pool of connections."""

    def __init__(self) -> None:
        self._pool = _sdk().DefaultHttpxClient()
        self._made: dict[str, OpenAI] = {}

    def of(self, model: ModelConfig) -> OpenAI:
        client = self._made.get(model.id)
        if client is None:
            client = self._made[model.id] = _sdk().OpenAI(http_client=self._pool, **_client_options(model))
        return client

    def close(self) -> None:
        self._pool.close()

    def __del__(self) -> None:  # as the SDK's own pools do: a router that is dropped leaves no connections behind
        with suppress(Exception):
            self._pool.close()


class _AsyncClients:
    """The clients of one event loop by model, over one pool of connections."""

    def __init__(self) -> None:
        self._pool = _sdk().DefaultAsyncHttpxClient()
        self._made: dict[str, AsyncOpenAI] = {}

    def of(self, model: ModelConfig) -> AsyncOpenAI:
        client = self._made.get(model.id)
        if client is None:
            client = self._made[model.id] = _sdk().AsyncOpenAI(http_client=self._pool, **_client_options(model))
        return client

    async def aclose(self) -> None:
        await self._pool.aclose()


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
