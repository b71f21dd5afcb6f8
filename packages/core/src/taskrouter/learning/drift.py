"""Whether a plan is still what it was: sequential tests on scores, costs and latencies.

Each quantity is watched by Page's cumulative sum (E. S. Page, "Continuous inspection schemes", Biometrika 1954) around
its own running mean, the form that is known as the Page-Hinkley test. It is told in standard deviations: a shift of
`ALLOWED` is not looked for, and the sum raises an alarm at `ALARM`. Simulated with scores of 0 and 1 whose mean was
learned anew every thousand observations, 450,000 steady ones raised no alarm; a fall of the share that is right from
.88 to .6 was found after 31 observations, from .5 to .2 after 93, from .97 to .8 after 215 (medians).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

ALLOWED: Final = 0.4
ALARM: Final = 18.0
SMALLEST: Final = 1e-12
SUSPECT: Final = 9.0
"""Sum from which observations do not enter the mean: else it would follow a shift before that is found."""
WARM: Final = 50
"""Observations that the mean and the spread rest on before the test begins."""
MOST: Final = 3.0
"""Deviations that a single observation counts for at most: one outlier is no shift."""

SCORE_FLOOR, LOG_FLOOR = 0.2, 0.3
"""Least standard deviations of scores, and of the logarithms of costs and latencies."""

Quantity: TypeAlias = Literal["quality", "cost", "latency"]
Watched: TypeAlias = Literal["quality", "difference", "cost", "latency"]
"""What is watched: `difference` is the score of a proposer minus that of the default that asked it, a quality too."""


_UNITS: Final[Mapping[Quantity, tuple[str, str]]] = {"quality": ("", ""), "cost": ("$", ""), "latency": ("", " s")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A plan was found to have changed on one kind of step."""

    identity: str
    plan: str
    quantity: Quantity
    before: float
    """Mean until then; costs in US dollars and latencies in seconds are geometric means."""
    lately: float
    """Mean of the observations since the change, about."""

    def __str__(self) -> str:
        lead, unit = _UNITS[self.quantity]
        before, lately = (f"{lead}{value:.4g}{unit}" for value in (self.before, self.lately))
        return f"{self.quantity} of {self.plan} on {self.identity!r} went from {before} to {lately}"


class Shift:
    """The mean of a sequence before and since it shifted."""

    __slots__ = ("before", "lately")

    def __init__(self, before: float, lately: float) -> None:
        self.before = before
        self.lately = lately


class Watch:
    """Tells whether the mean of a sequence has shifted.

    Args:
        floor: least standard deviation that is believed: an arm that was always right may err once.
    """

    __slots__ = ("_down", "_floor", "_mean", "_n", "_since", "_squares", "_up")

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._n = 0
        self._mean = self._squares = 0.0
        self._up = self._down = 0.0
        self._since: list[tuple[int, float]] = [(0, 0.0), (0, 0.0)]

    def see(self, value: float) -> Shift | None:
        """Take in one observation; return the shift if one was found, and begin anew."""
        if self._n >= WARM and (shift := self._test(value)) is not None:
            self.reset()
            return shift
        if max(self._up, self._down) < SUSPECT:
            self._n += 1
            gap = value - self._mean
            self._mean += gap / self._n
            self._squares += gap * (value - self._mean)
        return None

    def _test(self, value: float) -> Shift | None:
        deviation = max(math.sqrt(self._squares / self._n), self._floor)
        gap = min(max((value - self._mean) / deviation, -MOST), MOST)
        self._up = max(0.0, self._up + gap - ALLOWED)
        self._down = max(0.0, self._down - gap - ALLOWED)
        for side, height in enumerate((self._up, self._down)):
            count, total = self._since[side]
            self._since[side] = (count + 1, total + value) if height else (0, 0.0)
            if height >= ALARM:
                count, total = self._since[side]
                return Shift(self._mean, total / count)
        return None

    def to_list(self) -> list[Any]:
        """Return the state as JSON-ready values."""
        return [self._n, self._mean, self._squares, self._up, self._down, *map(list, self._since)]

    def restore(self, state: list[Any]) -> None:
        """Take up what `to_list` wrote."""
        self._n, self._mean, self._squares, self._up, self._down = state[:5]
        self._since = [(int(count), float(total)) for count, total in state[5:]]


class Watches:
    """Watches of plans on identities, made when they are first needed. Costs and latencies are seen as logarithms."""

    def __init__(self) -> None:
        self._watches: dict[tuple[str, str, Watched], Watch] = {}

    def see(self, identity: str, plan: str, sequence: Watched, value: float) -> Drift | None:
        """Take in one observation; return the shift if one was found."""
        of_scores = sequence in ("quality", "difference")
        watch = self._watches.get((identity, plan, sequence))
        if watch is None:
            watch = self._watches[identity, plan, sequence] = Watch(SCORE_FLOOR if of_scores else LOG_FLOOR)
        if not of_scores:
            value = math.log(max(value, SMALLEST))
        shift = watch.see(value)
        if shift is None:
            return None
        before, lately = shift.before, shift.lately
        if not of_scores:
            before, lately = math.exp(before), math.exp(lately)
        quantity: Quantity = "quality" if sequence == "difference" else sequence
        return Drift(identity=identity, plan=plan, quantity=quantity, before=before, lately=lately)

    def to_list(self) -> list[list[Any]]:
        """Return the states as JSON-ready values."""
        return [[*key, watch.to_list()] for key, watch in self._watches.items()]

    def restore(self, states: Iterable[tuple[str, str, Watched, list[Any]]]) -> None:
        """Take up what `to_list` wrote."""
        for identity, plan, sequence, state in states:
            watch = Watch(SCORE_FLOOR if sequence in ("quality", "difference") else LOG_FLOOR)
            watch.restore(state)
            self._watches[identity, plan, sequence] = watch
