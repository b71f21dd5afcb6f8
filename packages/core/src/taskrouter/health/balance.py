"""Which of a model's usable endpoints gets the next call."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from taskrouter.health.place import Place


class Balance:
    """Chooses among usable endpoints: brisk ones before slow ones, then the preferred region, then by share or latency.

    Args:
        name: `weighted` draws by weight. `least_latency` draws two and takes the one whose latency times its calls
            under way is less (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 2001).
        region: preferred while an endpoint there is usable.
        fresh_s: a latency that was observed longer ago counts as unknown, and an unknown one is tried first: otherwise
            an endpoint that was slow once would never be looked at again.
        rng: source of the draws.
    """

    def __init__(self, name: str, region: str | None, fresh_s: float, rng: random.Random) -> None:
        if name not in ("weighted", "least_latency"):
            raise ValueError(f"balance is {name!r}; it must be 'weighted' or 'least_latency'")
        self._by_latency = name == "least_latency"
        self._region = region
        self._fresh_s = fresh_s
        self._rng = rng

    def choose(self, usable: Sequence[Place], now_s: float) -> Place:
        """Return one of the endpoints; there is at least one."""
        brisk = [place for place in usable if place.slow.passes(now_s)] or usable
        near = [place for place in brisk if self._is_near(place)] or brisk
        if len(near) == 1:
            return near[0]
        return self._quickest(near, now_s) if self._by_latency else self._drawn(near)

    def _is_near(self, place: Place) -> bool:
        regions = place.endpoint.regions
        return self._region is not None and regions is not None and self._region in regions

    def _drawn(self, places: Sequence[Place]) -> Place:
        left = self._rng.random() * sum(place.endpoint.weight for place in places)
        for place in places:
            left -= place.endpoint.weight
            if left < 0.0:
                return place
        return places[-1]

    def _quickest(self, places: Sequence[Place], now_s: float) -> Place:
        # One call at a time finds out: an endpoint that hangs must not draw every call until the first one times out.
        for place in places:
            if not place.in_flight and not self._is_known(place, now_s):
                return place
        one, other = self._rng.sample(places, 2)
        if math.isnan(one.pace_s) or math.isnan(other.pace_s):
            return one if one.in_flight <= other.in_flight else other
        return one if one.pace_s * (one.in_flight + 1) <= other.pace_s * (other.in_flight + 1) else other

    def _is_known(self, place: Place, now_s: float) -> bool:
        recovering = place.slow.is_open or any(guard.breaker.is_open for guard in place.guards)
        return not recovering and now_s - place.answered_at_s <= self._fresh_s
