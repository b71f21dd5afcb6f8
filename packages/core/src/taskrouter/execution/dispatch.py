"""Which backend calls which model: backends are made when a model first needs them, and closed together."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from taskrouter.config import ModelConfig
from taskrouter.errors import ConfigurationError
from taskrouter.execution.commands import Call, OpenStream
from taskrouter.outcome import ResponseView
from taskrouter.ports import Backend, BackendFactory
from taskrouter.step import Step


class Dispatcher:
    """The backends of a pool.

    Args:
        models: the pool by model id, and deployments by endpoint id.
        factories: what the plugins offer, by name.

    Raises:
        ConfigurationError: a model names a backend that nobody offers.
    """

    def __init__(self, models: Mapping[str, ModelConfig], factories: Mapping[str, BackendFactory]) -> None:
        self._models = models
        self._factories = factories
        self._backends: dict[str, Backend] = {}
        self._lock = threading.Lock()
        for model in models.values():
            if _backend_name(model) not in factories:
                raise ConfigurationError(
                    f"model {model.id!r}: unknown backend {model.backend!r}; known: {', '.join(sorted(factories))}"
                )

    def calls(self, step: Step) -> StepCalls:
        """Return the ways to call the models of the pool with a step."""
        return StepCalls(self, step)

    def backend(self, model: ModelConfig) -> Backend:
        """Return the model's backend, made on first use."""
        name = _backend_name(model)
        with self._lock:
            if name not in self._backends:
                self._backends[name] = self._factories[name]()
            return self._backends[name]

    def place(self, endpoint_id: str) -> tuple[ModelConfig, Backend]:
        """Return the card of an endpoint and the backend to call it through."""
        model = self._models[endpoint_id]
        return model, self.backend(model)

    def close(self) -> None:
        """Close the synchronous clients."""
        for backend in list(self._backends.values()):
            backend.close()

    async def aclose(self) -> None:
        """Close the clients of the running event loop."""
        for backend in list(self._backends.values()):
            await backend.aclose()


class StepCalls:
    """A step with the backends that can carry it: what a driver calls."""

    def __init__(self, dispatcher: Dispatcher, step: Step) -> None:
        self._dispatcher, self._step = dispatcher, step

    def call(self, command: Call) -> Any:
        """Call the model."""
        model, backend = self._dispatcher.place(command.endpoint.id)
        return backend.complete(model, self._step, command.timeout_s)

    async def acall(self, command: Call) -> Any:
        """Call the model."""
        model, backend = self._dispatcher.place(command.endpoint.id)
        return await backend.acomplete(model, self._step, command.timeout_s)

    def open(self, command: OpenStream) -> Iterator[Any]:
        """Open a stream. A synchronous read cannot be interrupted, so its client gets the smaller of both limits."""
        model, backend = self._dispatcher.place(command.endpoint.id)
        return backend.stream(model, self._step, min(command.timeout_s, command.stall_timeout_s))

    async def aopen(self, command: OpenStream) -> AsyncIterator[Any]:
        """Open a stream. The driver keeps both limits itself."""
        model, backend = self._dispatcher.place(command.endpoint.id)
        return await backend.astream(model, self._step, max(command.timeout_s, command.stall_timeout_s))

    def view(self, endpoint_id: str, native: Any) -> ResponseView:
        """Read what the endpoint's backend returned."""
        return self._dispatcher.place(endpoint_id)[1].view(native)


def _backend_name(model: ModelConfig) -> str:
    return model.backend or ("openai" if model.base_url else "litellm")
