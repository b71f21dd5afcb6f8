"""One endpoint with all that is remembered of it."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence

from taskrouter.errors import ModelCallError
from taskrouter.health.breaker import Breaker
from taskrouter.health.guard import Guard
from taskrouter.health.latencies import Latencies
from taskrouter.health.states import Turn
from taskrouter.health.verdicts import concerns_quota
from taskrouter.ports import Admission, Endpoint, Sidelined

SMOOTHING = 0.3
"""Weight of the newest call in the latency that calls are balanced by: follows a change within a few calls."""


class Place:
    """An endpoint, its guards, its latencies and the calls under way."""

    __slots__ = (
        "admission",
        "answered_at_s",
        "endpoint",
        "first_tokens",
        "group",
        "guard",
        "guards",
        "in_flight",
        "latencies",
        "pace_s",
        "slow",
    )

    def __init__(self, endpoint: Endpoint, guard: Guard, group: Guard | None) -> None:
        self.endpoint = endpoint
        self.admission = Admission(endpoint=endpoint)
        """What most calls get; made once, for speed."""
        self.guard = guard
        self.group = group
        self.guards = (guard,) if group is None else (guard, group)
        self.slow = Breaker()
        """Opened by latency, not by failures; it only puts the endpoint behind others."""
        self.latencies = Latencies()
        self.first_tokens = Latencies()
        self.pace_s = math.nan
        """Smoothed latency, for the balance."""
        self.in_flight = 0
        self.answered_at_s = -math.inf

    def fits(self, tried: Container[str], regions: frozenset[str] | None) -> bool:
        """Tell whether it has not been tried and lies in one of the regions."""
        endpoint = self.endpoint
        if endpoint.id in tried:
            return False
        return regions is None or (endpoint.regions is not None and not regions.isdisjoint(endpoint.regions))

    def passes(self, now_s: float) -> bool:
        """Tell whether it can be called now."""
        return self.guard.passes(now_s) and (self.group is None or self.group.passes(now_s))

    def enter(self, now_s: float) -> bool:
        """Let a call through; return whether it is a probe."""
        self.in_flight += 1
        probe = False
        for guard in self.guards:
            probe |= guard.enter(now_s, self.endpoint.id)
        if self.slow.is_open and self.slow.passes(now_s):
            self.slow.take_probe(now_s, self.endpoint.id)
            probe = True
        return probe

    def leave(self) -> None:
        """Count a call as ended."""
        if self.in_flight:
            self.in_flight -= 1

    def give_back(self, started_s: float) -> bool:
        """Free the probes' slots that a call without a verdict held; return whether there were any."""
        freed = self.slow.give_back(self.endpoint.id, started_s)
        for guard in self.guards:
            freed |= guard.breaker.give_back(self.endpoint.id, started_s)
        return freed

    def culprit(self, error: ModelCallError) -> Guard:
        """Return the guard that a failure is booked on: what is the account's is its whole quota group's."""
        return self.group if self.group is not None and concerns_quota(error) else self.guard

    def states(self) -> Sequence[str]:
        """Return what the breakers of its guards are."""
        return [guard.state for guard in self.guards]

    def turns(self, before: Sequence[str]) -> Iterator[Turn]:
        """Yield the breakers that a call of this endpoint has turned since their states were taken."""
        for guard, was in zip(self.guards, before, strict=True):
            if guard.state != was:
                yield Turn(guard.kind, guard.name, guard.state, guard.breaker.why, self.endpoint.id)

    def observe(self, now_s: float, latency_s: float) -> None:
        """Take note of how long a call took."""
        self.latencies.add(now_s, latency_s)
        if 0.0 <= latency_s < math.inf:
            known = not math.isnan(self.pace_s)
            self.pace_s = self.pace_s + SMOOTHING * (latency_s - self.pace_s) if known else latency_s

    def blocked(self, now_s: float) -> Sidelined | None:
        """Return why it cannot be called now: the reason that lasts longest."""
        reasons = [reason for guard in self.guards if (reason := guard.blocked(now_s))]
        return max(reasons, key=lambda reason: reason.until_s, default=None)

    def badness(self, now_s: float) -> tuple[bool, float, int]:
        """Return how bad a choice it is while it is blocked; the least is the best.

        What is down fails for certain. Half-open with a probe under way is as good as nearly well.
        """
        down = any(guard.breaker.is_open and guard.breaker.down for guard in self.guards)
        due_s = max(max(guard.breaker.until_s, guard.gate_until_s) for guard in self.guards)
        return down, max(0.0, due_s - now_s), self.in_flight
