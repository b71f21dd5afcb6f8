"""What the tests of health share: pools, and calls that end in some way."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from taskrouter import errors as e
from taskrouter.config import HealthConfig, ModelConfig
from taskrouter.health import Admission, Health, endpoints_of
from taskrouter.outcome import ResponseView

EPOCH_S = 1_700_000_000.0
"""What the wall clock shows when the monotonic clock shows 0."""


def health_of(
    models: Sequence[dict[str, Any]], *, balance: str = "weighted", region: str | None = None, **config: Any
) -> Health:
    pool = [ModelConfig.model_validate(model) for model in models]
    return Health(endpoints_of(pool), HealthConfig(**config), balance=balance, region=region, rng=random.Random(1))


def one(**config: Any) -> Health:
    return health_of([{"id": "a"}], **config)


def deployments(*names: str, **model: Any) -> dict[str, Any]:
    return {"id": "a", "deployments": [{"name": name} for name in names], **model}


def fail(health: Health, error: e.ModelCallError, now_s: float, *, times: int = 1, endpoint: str = "a") -> None:
    """Admit nothing, report failures: as of calls that began in time."""
    for _ in range(times):
        health.failed(endpoint, error, now_s, latency_s=0.0)


def answer(health: Health, now_s: float, *, endpoint: str = "a", latency_s: float = 0.0, times: int = 1) -> None:
    for _ in range(times):
        health.succeeded(endpoint, now_s, latency_s=latency_s)


def admitted(health: Health, now_s: float, model: str = "a", **how: Any) -> Admission:
    admission = health.admit(model, now_s, **how)
    assert admission is not None
    return admission


def opened(now_s: float = 0.0, **config: Any) -> Health:
    """A model whose breaker has just opened."""
    health = one(**{"failures": 3, "open_s": 10.0, "max_open_s": 35.0, **config})
    fail(health, e.ServerFailed("a"), now_s, times=3)
    assert health.admit("a", now_s) is None
    return health


FAULTS = [
    e.Overloaded("a"),
    e.ServerFailed("a"),
    e.ConnectionFailed("a"),
    e.Timeout("a"),
    e.StreamBroken("a", partial=ResponseView()),
    e.EmptyAnswer("a"),
    e.ModelCallError("a"),
    e.RateLimited("a"),
    e.RateLimited("a", retry_after_s=0.0),
]
ALIVE = [e.BadAnswer("a"), e.Refused("a"), e.ContextOverflow("a"), e.BadRequest("a")]
DOWN = [e.Unauthenticated("a"), e.ModelNotFound("a"), e.RateLimited("a", retryable=False)]
