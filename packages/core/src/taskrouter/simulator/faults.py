"""Which fault a request meets: first the script, then the probabilities. The same seed gives the same sequence."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from taskrouter.errors import ConfigurationError
from taskrouter.simulator.config import FAULTS, Durations, Event, Fault, SimulatedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What a request meets."""

    fault: Fault | None
    durations: Durations
    """How long the fault takes."""
    phase: str | None = None
    """Name of the phase of a chaos script that decided it."""


def draw(rates: Sequence[tuple[Fault, float]], salt: str) -> Fault | None:
    """Draw a fault, or none: always the same for the same salt."""
    if not rates:
        return None
    drawn = Random(salt).random()
    for fault, rate in rates:
        if drawn < rate:
            return fault
        drawn -= rate
    return None


class FaultSource:
    """The faults of one model, request by request."""

    def __init__(self, model: SimulatedModel, seed: int) -> None:
        self._model = model
        self._rates = model.faults.rates()
        self._seed = seed
        self._script: deque[Event] = deque()
        self._index = 0
        self.reset()

    def reset(self) -> None:
        """Start again with the first request and the configured script."""
        self._script = deque(self._model.script)
        self._index = 0

    def script(self, events: Iterable[Event]) -> None:
        """Add to what the next requests meet.

        Raises:
            ConfigurationError: an event is neither `ok` nor a fault.
        """
        events = tuple(events)
        if unknown := [event for event in events if event != "ok" and event not in FAULTS]:
            raise ConfigurationError(f"unknown event {unknown[0]!r} in a script; known: ok, {', '.join(FAULTS)}")
        self._script.extend(events)

    def next(self) -> Met:
        """Return what the next request meets."""
        index, self._index = self._index, self._index + 1
        if self._script:
            event = self._script.popleft()
            fault = None if event == "ok" else event
        else:
            fault = draw(self._rates, f"{self._seed}:{self._model.id}:{index}")
        return Met(fault=fault, durations=self._model.faults)
