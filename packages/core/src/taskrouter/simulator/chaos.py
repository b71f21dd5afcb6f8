"""Chaos scripts: an outage in phases, written by hand and replayed. The first phase that covers a request rules it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from taskrouter.config import Name, read_toml, validated
from taskrouter.errors import ConfigurationError
from taskrouter.simulator.config import (
    Duration,
    Durations,
    Event,
    Fault,
    NotEmpty,
    Rates,
    SimulatedModel,
    SimulatorConfig,
)
from taskrouter.simulator.faults import Met, draw

ModelIds: TypeAlias = Annotated[tuple[str, ...], NotEmpty]
Events: TypeAlias = Annotated[tuple[Event, ...], NotEmpty]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Phase(_Section):
    """`[[phases]]`: what the requests of a span meet.

    The span is measured in requests, which replays exactly, or in seconds, for those who watch. Without either it is
    everything. Each model counts its own requests: the good ones, as those that the API refuses meet no fault.
    """

    name: Name | None = None
    """For people; `phase 1`, `phase 2`, ... where it is left out."""
    models: ModelIds | None = None
    """Ids of the models; default: every model."""
    after_requests: Annotated[int, Field(ge=0)] | None = None
    """Requests to a model before the phase; default: 0."""
    requests: Annotated[int, Field(ge=1)] | None = None
    """Requests to a model in the phase; default: no end."""
    after_s: Duration | None = None
    """Seconds before the phase, from the start of the server or the loading of the script; default: 0."""
    for_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds that the phase lasts; default: no end."""
    faults: Events | None = None
    """What the requests meet, one entry each, from the first again after the last."""
    rates: Rates | None = None
    """Probability of each fault, drawn by the server's seed."""
    retry_after_s: Duration | None = None
    """Instead of the model's own in this phase."""
    hang_s: Duration | None = None
    """Instead of the model's own in this phase."""
    slow_start_s: Duration | None = None
    """Instead of the model's own in this phase."""

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        counted, timed = self._given("after_requests", "requests"), self._given("after_s", "for_s")
        if counted and timed:
            raise ValueError(
                f"a phase is measured in requests or in seconds, not in both: drop {' and '.join(counted)}, "
                f"or {' and '.join(timed)}"
            )
        return self

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.faults is None) == (self.rates is None):
            raise ValueError(
                "give either 'faults', events that are met in turn, or 'rates', the probability of each fault; "
                + ("there is neither" if self.faults is None else "there are both")
            )
        if self.rates is not None and not self.rates.rates():
            raise ValueError('all rates are zero; write faults = ["ok"] for a phase in which nothing fails')
        return self

    def _given(self, *keys: str) -> list[str]:
        return [repr(key) for key in keys if getattr(self, key) is not None]

    def covers(self, model: str, index: int, seconds: float) -> bool:
        """Tell whether a request belongs to the phase.

        Args:
            model: who is asked.
            index: how many requests that model has had before.
            seconds: time since the script was loaded.
        """
        return (
            (self.models is None or model in self.models)
            and _within(index, self.after_requests, self.requests)
            and _within(seconds, self.after_s, self.for_s)
        )

    def durations(self, model: Durations) -> Durations:
        """Return the durations in this phase of a model with those of its own."""
        own = {key: value for key in Durations.model_fields if (value := getattr(self, key)) is not None}
        return model.model_copy(update=own)


class ChaosScript(_Section):
    """The whole of a chaos file. Phases may overlap: the first that covers a request rules it."""

    phases: Annotated[tuple[Phase, ...], NotEmpty]

    def named(self) -> tuple[tuple[str, Phase], ...]:
        """Return the phases in order, each with its name."""
        return tuple((phase.name or f"phase {number}", phase) for number, phase in enumerate(self.phases, 1))


ChaosSource: TypeAlias = ChaosScript | str | Path | Mapping[str, Any]
"""A script, its TOML file, or a mapping of the same shape."""


def load_chaos(source: ChaosSource, config: SimulatorConfig) -> ChaosScript:
    """Read a chaos script for the models of a simulator.

    Raises:
        ConfigurationError: the file cannot be read, a key is unknown or wrong, or there is no such model; the message
            names it.
    """
    where = "chaos script"
    if isinstance(source, ChaosScript):
        script = source
    elif isinstance(source, Mapping):
        script = validated(ChaosScript, source, where=where)
    elif not isinstance(source, str | Path):
        raise ConfigurationError(f"a chaos script is a path or a mapping, not a {type(source).__name__}")
    else:
        where = str(source)
        script = validated(ChaosScript, read_toml(Path(source)), where=where)
    for number, phase in enumerate(script.phases):
        for model in phase.models or ():
            if config.model(model) is None:
                known = ", ".join(one.id for one in config.models)
                raise ConfigurationError(
                    f"{where}: 'phases[{number}].models': no simulated model {model!r}; there are: {known}"
                )
    return script


class Chaos:
    """A script at work: counts the requests of each model, and knows how long it has been running."""

    def __init__(self, script: ChaosScript, seed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.script = script
        self._seed = seed
        self._clock = clock
        self._phases = script.named()
        self._rates: list[tuple[tuple[Fault, float], ...]] = [
            phase.rates.rates() if phase.rates else () for phase in script.phases
        ]
        self.reset()

    def reset(self) -> None:
        """Start again with the first request, now."""
        self._began_s = self._clock()
        self._received: Counter[str] = Counter()
        self._ruled: Counter[tuple[int, str]] = Counter()

    def next(self, model: SimulatedModel) -> Met | None:
        """Return what the next request to a model meets, or None where no phase covers it."""
        index = self._received[model.id]
        self._received[model.id] += 1
        seconds = self._clock() - self._began_s
        for number, (name, phase) in enumerate(self._phases):
            if phase.covers(model.id, index, seconds):
                position = self._ruled[number, model.id]
                self._ruled[number, model.id] += 1
                fault = self._fault(number, model.id, position)
                return Met(fault=fault, durations=phase.durations(model.faults), phase=name)
        return None

    def _fault(self, number: int, model: str, position: int) -> Fault | None:
        if events := self.script.phases[number].faults:
            event = events[position % len(events)]
            return None if event == "ok" else event
        return draw(self._rates[number], f"{self._seed}:{model}:{number}:{position}")


def _within(value: float, after: float | None, length: float | None) -> bool:
    start = after or 0
    return start <= value and (length is None or value < start + length)
