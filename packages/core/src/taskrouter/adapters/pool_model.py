"""A model of the router's own backends (LiteLLM, OpenAI SDK, a plugin's), for an adapter to dress up as a native one.

It is what a LiteLLM string or a table as in `[[models]]` becomes. The backends have dealt with their libraries' manners
already (LiteLLM's price map, retries, clients), the engine knows their errors, and no further package is needed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

from taskrouter.config import ModelConfig
from taskrouter.outcome import ResponseView
from taskrouter.ports import Backend
from taskrouter.router import Router
from taskrouter.step import Message, Step


class PoolModel:
    """A model of the pool, called through the backend that its card names; keys come from the environment.

    Args:
        card: what the user says of it; `connect` adds what the router knows.
    """

    def __init__(self, card: ModelConfig) -> None:
        self.card = card
        self._backend: Backend | None = None
        self._timeout_s: float | None = None

    def connect(self, router: Router, model_id: str) -> None:
        """Take over what the router knows of the model, and its backend."""
        self.card = router.models[model_id]
        self._backend = router.backend(model_id)
        self._timeout_s = router.execution.timeout_s

    @property
    def backend(self) -> Backend:
        """What makes the calls."""
        assert self._backend is not None, "connected when the routed model is made"  # noqa: S101 - our own contract
        return self._backend

    def complete(self, messages: Sequence[Message], request: Mapping[str, Any]) -> Any:
        """Return the backend's native answer; `request` has all parameters beside the messages, tools too."""
        return self.backend.complete(self.card, _step(messages, request), self._timeout_s)

    async def acomplete(self, messages: Sequence[Message], request: Mapping[str, Any]) -> Any:
        """Do the same without blocking."""
        return await self.backend.acomplete(self.card, _step(messages, request), self._timeout_s)

    def stream(self, messages: Sequence[Message], request: Mapping[str, Any]) -> Iterator[Any]:
        """Return the backend's native chunks."""
        return self.backend.stream(self.card, _step(messages, request), self._timeout_s)

    async def astream(self, messages: Sequence[Message], request: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Do the same without blocking."""
        chunks: Any = await self.backend.astream(self.card, _step(messages, request), self._timeout_s)
        try:
            async for native in chunks:
                yield native
        finally:  # LiteLLM's streams have the one name, those of OpenAI's SDK the other
            await (getattr(chunks, "aclose", None) or chunks.close)()

    def view(self, native: Any) -> ResponseView:
        """Read an answer or a chunk."""
        return self.backend.view(native)


def _step(messages: Sequence[Message], request: Mapping[str, Any]) -> Step:
    return Step(messages=messages, payload=dict(request))
