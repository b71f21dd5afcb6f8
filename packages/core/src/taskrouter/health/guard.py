"""What stands before an endpoint or a quota group: its breaker, its rate gate, and the counts that open the breaker."""

from __future__ import annotations

import math
from typing import Literal

from taskrouter.config import HealthConfig
from taskrouter.health.breaker import SLACK_S, Breaker
from taskrouter.health.counts import Counts
from taskrouter.ports import Sidelined


class Guard:
    """Lets calls through or not, and learns from how they end.

    The methods that take a verdict return whether it changed what is let through. `state` says what they made of the
    breaker; half-open is a question of time, and open.
    """

    __slots__ = ("breaker", "counts", "gate_since_s", "gate_until_s", "in_a_row", "kind", "name", "quiet", "settings")

    def __init__(self, kind: Literal["endpoint", "group"], name: str, settings: HealthConfig) -> None:
        self.kind = kind
        self.name = name
        self.settings = settings
        self.breaker = Breaker()
        self.counts = Counts(settings.window_s)
        self.in_a_row = 0
        """Faults since the last success."""
        self.gate_since_s = self.gate_until_s = -math.inf
        """The rate gate: closed until then."""
        self.quiet = True
        """Whether there is nothing to look at: the breaker is closed and the gate is open."""

    @property
    def state(self) -> Literal["closed", "open", "down"]:
        """What the breaker is, whatever the time."""
        return "closed" if not self.breaker.is_open else "down" if self.breaker.down else "open"

    def passes(self, now_s: float) -> bool:
        """Tell whether a call may pass now."""
        return self.quiet or (now_s >= self.gate_until_s - SLACK_S and self.breaker.passes(now_s))

    def settle(self, now_s: float) -> None:
        """Note what time alone has changed."""
        self.quiet = not self.breaker.is_open and now_s >= self.gate_until_s - SLACK_S

    def enter(self, now_s: float, endpoint_id: str) -> bool:
        """Let a call through; return whether it is the probe."""
        if not self.breaker.is_open:
            return False
        self.breaker.take_probe(now_s, endpoint_id)
        return True

    def succeeded(self, now_s: float, started_s: float) -> bool:
        """A call was answered."""
        changed = not self.quiet and self.alive(now_s, started_s)
        self.in_a_row = 0
        self.counts.add(now_s, 0)
        return changed

    def alive(self, now_s: float, started_s: float) -> bool:
        """A call showed that the provider answers: an open breaker closes. The rate gate keeps its time."""
        if not self.breaker.is_open or not self.breaker.heeds(started_s):
            return False
        self.close(now_s)
        return True

    def faulted(self, now_s: float, started_s: float, kind: str) -> bool:
        """A call failed in a way that counts."""
        breaker, settings = self.breaker, self.settings
        if not breaker.heeds(started_s) or breaker.waits(started_s):
            return False  # begun under another state, or forced through an open breaker: no news
        if breaker.is_open:
            # After a time of being down, whose length says nothing of outages, the doubling begins anew.
            length_s = settings.open_s if breaker.down else 2.0 * breaker.length_s
            self.open(now_s, min(length_s, settings.max_open_s), f"the probe failed: {kind}")
            return True
        self.in_a_row += 1
        self.counts.add(now_s, 1)
        if why := self._too_many():
            self.open(now_s, min(settings.open_s, settings.max_open_s), f"{why}, the last: {kind}")
        return breaker.is_open

    def mark_down(self, now_s: float, started_s: float, kind: str) -> bool:
        """A call failed in a way that only people can mend."""
        if not self.breaker.heeds(started_s):
            return False
        self.open(now_s, self.settings.down_s, kind, down=True)
        return True

    def limit(self, now_s: float, pause_s: float) -> bool:
        """The provider asked for a pause."""
        until_s = now_s + min(pause_s, self.settings.max_open_s)
        if until_s <= self.gate_until_s:
            return False
        self.gate_since_s, self.gate_until_s, self.quiet = now_s, until_s, False
        return True

    def open(self, now_s: float, length_s: float, why: str, *, down: bool = False) -> None:
        """Open the breaker."""
        self.breaker.open(now_s, length_s, why, down=down)
        self.quiet = False

    def close(self, now_s: float) -> None:
        """Close the breaker and forget what opened it."""
        self.breaker.close(now_s)
        self.in_a_row = 0
        self.counts.clear()
        self.settle(now_s)

    def blocked(self, now_s: float) -> Sidelined | None:
        """Return why no call may pass now, or None when one may."""
        if self.passes(now_s):
            return None
        breaker = self.breaker
        of_group = f" of quota group {self.name!r}" if self.kind == "group" else ""
        if now_s < self.gate_until_s - SLACK_S and self.gate_until_s >= breaker.passes_at_s(now_s):
            asked = f"the provider asked for a pause of {self.gate_until_s - self.gate_since_s:.1f} s{of_group}"
            return Sidelined("rate_limited", asked, self.gate_until_s)
        until_s = breaker.passes_at_s(now_s)
        if not breaker.waits(now_s):
            detail = f"circuit breaker{of_group} half-open: a probe is under way"
            return Sidelined("probing", detail, until_s)
        code, what = ("down", "marked down") if breaker.down else ("breaker_open", "circuit breaker open")
        return Sidelined(code, f"{what}{of_group} for {breaker.length_s:.1f} s: {breaker.why}", until_s)

    def looks_again_at_s(self, now_s: float) -> float:
        """Return when time alone changes what is let through, or infinity."""
        if self.quiet:
            return math.inf
        gate_s = self.gate_until_s if now_s < self.gate_until_s - SLACK_S else math.inf
        breaker_s = math.inf if self.breaker.passes(now_s) else self.breaker.passes_at_s(now_s)
        return min(gate_s, breaker_s) - SLACK_S

    def _too_many(self) -> str:
        settings, counts = self.settings, self.counts
        if self.in_a_row >= settings.failures:
            return f"{self.in_a_row} failures in a row"
        if counts.calls >= settings.min_calls and counts.faults >= settings.error_rate * counts.calls:
            return f"{counts.faults} of {counts.calls} calls within {settings.window_s:g} s failed"
        return ""
