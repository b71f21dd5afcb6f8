"""Connecting before the first step: clients imported, connections open, sleeping models awake."""

from __future__ import annotations

import time
from collections.abc import Iterable

from taskrouter.config import ModelConfig
from taskrouter.errors import TaskRouterError
from taskrouter.execution.classify import classify
from taskrouter.execution.dispatch import Dispatcher
from taskrouter.step import Step

_PING = Step(messages=[{"role": "user", "content": "ping"}], payload={"max_tokens": 1})


def warmed(
    dispatcher: Dispatcher, places: Iterable[ModelConfig], timeout_s: float
) -> dict[str, float | TaskRouterError]:
    """Warm every endpoint up, one after the other; return the seconds each took, or what went wrong."""
    return {place.id: _warmed(dispatcher, place, timeout_s) for place in places}


def _warmed(dispatcher: Dispatcher, place: ModelConfig, timeout_s: float) -> float | TaskRouterError:
    started_s = time.monotonic()
    try:
        backend = dispatcher.backend(place)
        if place.warmup is not None and place.warmup.ping:
            backend.complete(place, _PING, timeout_s + place.warmup.cold_start_s)
        elif (warm := getattr(backend, "warm", None)) is not None:
            warm(place, timeout_s)
    except TaskRouterError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a client may raise anything, and warming must not
        return classify(error, place.id)
    return time.monotonic() - started_s
