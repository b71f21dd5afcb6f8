"""The state of an endpoint, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from taskrouter.health.breaker import BreakerState


class Turn(NamedTuple):
    """A circuit breaker that opened, closed, or was marked down by what a call of this process has shown."""

    kind: Literal["endpoint", "group"]
    name: str
    """Id of the endpoint, or name of the quota group."""
    state: Literal["open", "closed", "down"]
    """From now on."""
    why: str
    """Counts and codes, never a provider's text."""
    endpoint_id: str
    """The endpoint whose call showed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """What is known of one endpoint at a moment. Unknown is None."""

    id: str
    model: str
    quota_group: str | None
    breaker: BreakerState
    """The endpoint's breaker or its quota group's, whichever lets less through."""
    code: str | None
    """Why it cannot be called, or only after others: the codes of `ports.Sidelined`."""
    why: str
    """The same for people; empty when all is well."""
    left_s: float
    """Seconds until it may be called again, if nothing else happens; 0 when it may be called now."""
    calls: int
    """Calls within the window that succeeded or failed; begins anew when the breaker closes."""
    error_rate: float | None
    """Share of them that failed."""
    latency_s: float | None
    """Median latency of the last calls."""
    first_token_s: float | None
    """Median time to the first token of the last streams."""
    in_flight: int
    """Calls under way."""
