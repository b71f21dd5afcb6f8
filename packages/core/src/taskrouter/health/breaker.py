"""One circuit breaker: closed, open until a time, then half-open with one probe at a time.

After Michael Nygard, "Release It!", Pragmatic Bookshelf, 2007.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

BreakerState: TypeAlias = Literal["closed", "open", "half_open"]

PROBE_S = 60.0
"""A probe that has not reported after this time is taken for lost, and another one is let through."""
SLACK_S = 1e-6
"""Times that are computed on different ways are compared with this much room for rounding."""


class Breaker:
    """The state and its transitions; when to open and for how long is for the owner to say.

    A call that began before the breaker last opened or closed says nothing of the state since, however late it ends:
    a long call that times out after the provider has recovered must not open the breaker again.
    """

    __slots__ = ("down", "is_open", "length_s", "probe_at_s", "probe_by", "since_s", "until_s", "why")

    def __init__(self) -> None:
        self.is_open = False
        self.down = False
        """Whether it was opened because nothing but a change by people can help."""
        self.since_s = -math.inf
        """When it last opened or closed."""
        self.until_s = -math.inf
        self.length_s = 0.0
        """How long it was last opened for."""
        self.probe_at_s = -math.inf
        self.probe_by = ""
        self.why = ""

    def open(self, now_s: float, length_s: float, why: str, *, down: bool = False) -> None:
        """Open for a length of time."""
        self.is_open, self.down, self.why = True, down, why
        self.since_s, self.until_s, self.length_s = now_s, now_s + length_s, length_s
        self.probe_at_s, self.probe_by = -math.inf, ""

    def close(self, now_s: float) -> None:
        """Close: all calls pass."""
        self.is_open = self.down = False
        self.since_s, self.until_s, self.length_s, self.why = now_s, -math.inf, 0.0, ""
        self.probe_at_s, self.probe_by = -math.inf, ""

    def passes(self, now_s: float) -> bool:
        """Tell whether a call may pass now, as a probe where it is half-open."""
        return not self.is_open or (now_s >= self.until_s - SLACK_S and not self.probing(now_s))

    def waits(self, now_s: float) -> bool:
        """Tell whether it is open and its time is not over."""
        return self.is_open and now_s < self.until_s - SLACK_S

    def probing(self, now_s: float) -> bool:
        """Tell whether a probe is under way."""
        return now_s < self.probe_at_s + PROBE_S - SLACK_S

    def passes_at_s(self, now_s: float) -> float:
        """Return when the next call may pass, if nothing else happens."""
        if self.waits(now_s):
            return self.until_s
        return self.probe_at_s + PROBE_S if self.is_open and self.probing(now_s) else now_s

    def state(self, now_s: float) -> BreakerState:
        """Return the state's name."""
        return "closed" if not self.is_open else "open" if self.waits(now_s) else "half_open"

    def take_probe(self, now_s: float, endpoint_id: str) -> None:
        """Let a call through as the probe."""
        self.probe_at_s, self.probe_by = now_s, endpoint_id

    def give_back(self, endpoint_id: str, started_s: float) -> bool:
        """Free the probe's slot if it may be this call's, for a call that ended without a verdict."""
        if self.probe_by != endpoint_id or started_s < self.probe_at_s - SLACK_S:
            return False
        self.probe_at_s, self.probe_by = -math.inf, ""
        return True

    def heeds(self, started_s: float) -> bool:
        """Tell whether a call that began then says anything of the present state."""
        return started_s >= self.since_s - SLACK_S
