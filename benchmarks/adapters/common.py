"""What the frameworks' parts of `adapter_overhead.py` share: a step, its router, and what a framework has to offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import TracerProvider

from taskrouter import Router

SYSTEM = "You are the planner of a small company's support agents. " + " ".join(
    f"Rule {i}: read what the customer says about order {i * 37}, and never promise what the policy does not allow."
    for i in range(18)
)
QUESTION = "The customer says that the invoice was charged twice. What should we ask first, and why?"
"""With `SYSTEM` about 500 tokens."""
GREETING = "Hello there"
"""A step on which there is nothing to think about: what is left is the framework's and the adapter's own work."""
ANSWER = "word " * 20


class Way(NamedTuple):
    """One way of calling, with the candidate itself and with the routed model."""

    name: str
    direct: Callable[[], Any]
    routed: Callable[[], Any]


class Ways(NamedTuple):
    """All ways of a framework, over HTTP and without."""

    sync: list[Way]
    asynchronous: list[Way]


class Framework(NamedTuple):
    """What is measured of a framework."""

    over_http: Callable[[str, TracerProvider | None], Ways]
    """Given the address and where spans go: real clients, and a step of 500 tokens."""
    floor: Callable[[], Ways]
    """A candidate that answers in this process at once, a short step, no tracing: the framework's own floor."""
    floor_target_us: float | None
    """What may be added to the floor."""
    attach: Callable[[bool], None] = lambda _: None
    """Put on, or take off, what the adapter has hung into its framework: direct calls do not pay for it."""


def router_of(model: str, provider: TracerProvider | None = None) -> Router:
    """Return a router with two candidates."""
    price = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0, "context_tokens": 100_000}
    able = {"capabilities": {"tools": True, "json_schema": True}}
    pool = [{"id": name, "model": model, **able, **price} for name in ("small", "large")]
    return Router(pool, "large", config={"telemetry": {"enabled": provider is not None}}, tracer_provider=provider)
