"""Which fault a request meets: first the script, then the probabilities. The same seed gives the same sequence."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import Random

from taskrouter.errors import ConfigurationError
from taskrouter.simulator.config import FAULTS, Event, Fault, SimulatedModel


class FaultSource:
    """The faults of one model, request by request."""

    def __init__(self, model: SimulatedModel, seed: int) -> None:
        self._model = model
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

    def next(self) -> Fault | None:
        """Return the fault of the next request, or None."""
        index, self._index = self._index, self._index + 1
        if self._script:
            event = self._script.popleft()
            return None if event == "ok" else event
        drawn = Random(f"{self._seed}:{self._model.id}:{index}").random()
        for fault, rate in self._model.faults.rates():
            if drawn < rate:
                return fault
            drawn -= rate
        return None
