"""LiteLLM, for the hundred providers it knows."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from inspect import isawaitable
from typing import Any

from taskrouter.config import ModelConfig
from taskrouter.errors import MissingExtraError
from taskrouter.execution.backends.chunks import text_chunk_view
from taskrouter.execution.backends.loops import PerLoop
from taskrouter.execution.backends.request import chat_completion_request
from taskrouter.execution.views import chat_completion_view
from taskrouter.outcome import ResponseView
from taskrouter.step import Step


class LiteLLMBackend:
    """Calls models through `litellm.completion`, which keeps its own clients. Imported when it is first used."""

    def complete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Call the model; return a `ModelResponse`."""
        return _litellm().completion(**_request(model, step, timeout_s, stream=False))

    async def acomplete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Call the model; return a `ModelResponse`."""
        await self._enter_loop()
        return await _litellm().acompletion(**_request(model, step, _rounded_up(timeout_s), stream=False))

    def stream(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Iterator[Any]:
        """Open a stream of `ModelResponseStream` chunks."""
        return _whole(_litellm().completion(**_request(model, step, timeout_s, stream=True)))

    async def astream(self, model: ModelConfig, step: Step, timeout_s: float | None) -> AsyncIterator[Any]:
        """Open a stream of `ModelResponseStream` chunks."""
        await self._enter_loop()
        return _awhole(await _litellm().acompletion(**_request(model, step, _rounded_up(timeout_s), stream=True)))

    def warm(self, model: ModelConfig, timeout_s: float) -> None:
        """Import LiteLLM, which takes seconds. It connects with the first call."""
        del model, timeout_s
        _litellm()

    def view(self, native: Any) -> ResponseView:
        """Read a completion or a chunk."""
        return text_chunk_view(native) or chat_completion_view(native)

    def close(self) -> None:
        """Leave LiteLLM's synchronous clients to LiteLLM."""

    async def aclose(self) -> None:
        """Close LiteLLM's clients of the running event loop."""
        await _LOOPS.aclose()

    async def _enter_loop(self) -> None:
        await _LOOPS.get("clients", lambda: id(asyncio.get_running_loop()))


def _whole(stream: Any) -> Iterator[Any]:
    """Pass a stream on, and raise if it was cut off, which LiteLLM hides behind a finish reason of its own."""
    source = _source(stream)
    try:
        yield from stream
    finally:
        if (close := getattr(source, "close", None)) is not None:
            with suppress(Exception):  # what has arrived is settled: closing may not change it
                close()
    _check_finished(stream)


async def _awhole(stream: Any) -> AsyncIterator[Any]:
    source = _source(stream)
    try:
        async for chunk in stream:
            yield chunk
    finally:
        for owner in (stream, source):
            if (close := getattr(owner, "aclose", None)) is not None:
                with suppress(Exception):  # as above
                    await close()
    _check_finished(stream)


def _source(stream: Any) -> Any:
    """Return what is to be closed: LiteLLM's readers of providers' own protocols (Anthropic's, ...) cannot be."""
    reader = getattr(stream, "completion_stream", None) or stream
    closable = hasattr(reader, "close") or hasattr(reader, "aclose")
    return reader if closable else getattr(reader, "streaming_response", None)


def _check_finished(stream: Any) -> None:
    seen = (getattr(stream, name, "stop") for name in ("received_finish_reason", "intermittent_finish_reason"))
    if not any(seen):
        raise ConnectionError("the stream ended without a finish reason")


async def _close_clients_of(loop: int) -> None:
    """Close the clients that LiteLLM made for an event loop, and forget them.

    LiteLLM files its clients under the loop's `id` and never closes them when the loop ends: their sockets leak, and a
    later loop that happens to get the same id is handed clients of a dead one. `close_litellm_async_clients` closes
    those of other, running loops too.
    """
    await _flush_callbacks()
    cache = getattr(getattr(sys.modules.get("litellm"), "in_memory_llm_clients_cache", None), "cache_dict", {})
    for key in [key for key in list(cache) if str(key).endswith(f"-{loop}")]:
        client = cache.pop(key, None)
        close = getattr(client, "aclose", None) or getattr(client, "close", None)
        if close is not None and isawaitable(closing := close()):
            await closing


async def _flush_callbacks() -> None:
    """Let LiteLLM's background callbacks of this loop finish: left behind, they warn in the next one."""
    module = sys.modules.get("litellm.litellm_core_utils.logging_worker")
    worker = getattr(module, "GLOBAL_LOGGING_WORKER", None)
    if worker is not None and getattr(worker, "_bound_loop", None) is asyncio.get_running_loop():
        await worker.flush()
        await worker.stop()


def _request(model: ModelConfig, step: Step, timeout_s: float | None, *, stream: bool) -> dict[str, Any]:
    request = chat_completion_request(model, step, stream=stream)
    request["model"] = model.model
    # The engine retries: two layers of retries multiply.
    request |= {"max_retries": 0, "num_retries": 0}
    if (key := model.secret()) is not None:
        request["api_key"] = key
    if model.base_url is not None:
        request["base_url"] = model.base_url
        request.setdefault("api_key", "none")
        if "/" not in model.model:
            request["model"] = f"openai/{model.model}"
    of_openai = str(request["model"]).startswith("openai/") and timeout_s is not None
    request["timeout"] = _nameless()(timeout_s) if of_openai else timeout_s
    return request


def _rounded_up(timeout_s: float | None) -> float | None:
    """Return the next power of two: LiteLLM makes a client, with connections of its own, for every time limit that it
    is given, and under a deadline no two are alike. In async code the driver keeps the exact limit.
    """
    return None if timeout_s is None else 2.0 ** math.ceil(math.log2(max(timeout_s, 0.001)))


@cache
def _nameless() -> Any:
    """Return a class of time limits that all have the same text.

    LiteLLM files its clients under the text of their limit. For the protocol of OpenAI every request carries its own,
    so one client can serve them all; other protocols may use the client's, so they get plain numbers.
    """
    httpx: Any = import_module("httpx")

    class TimeLimit(httpx.Timeout):  # type: ignore[misc] # a class of a module that is imported when it is needed
        def __repr__(self) -> str:
            return "TimeLimit()"

    return TimeLimit


def _litellm() -> Any:
    begun = "litellm" in sys.modules
    if not begun:
        # Without this LiteLLM downloads its price map during the import, and blocks when the network does.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        litellm: Any = import_module("litellm")  # waits for another thread that has begun to import it
    except ModuleNotFoundError as error:
        raise MissingExtraError("litellm", extra="litellm", wanted_for="the backend 'litellm'") from error
    if not begun:
        litellm.suppress_debug_info = True  # else every failed call prints an advertisement to the user's terminal
    return litellm


_LOOPS: PerLoop[int] = PerLoop(_close_clients_of)
"""One for the process, as LiteLLM's clients are: with a router that is dropped, those of another may not be closed."""
