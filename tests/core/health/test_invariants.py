"""What holds in whatever order calls begin and end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.core.health.pools import ALIVE, DOWN, FAULTS, health_of

from taskrouter import errors as e
from taskrouter.errors import ModelCallError
from taskrouter.health import Admission, Health
from taskrouter.health.breaker import PROBE_S
from taskrouter.health.guard import Guard

POOL: list[dict[str, Any]] = [
    {"id": "a"},
    {"id": "b", "quota_group": "key"},
    {"id": "c", "quota_group": "key"},
    {"id": "d", "deployments": [{"name": "x", "weight": 2.0}, {"name": "y", "quota_group": "key"}]},
]
MODELS = [model["id"] for model in POOL]
MAX_OPEN_S, DOWN_S = 60.0, 90.0
PAUSES = [
    e.RateLimited("a", retry_after_s=5.0),
    e.RateLimited("a", retry_after_s=1e6),
    e.Overloaded("a", retry_after_s=20.0),
]
ERRORS = [*FAULTS, *ALIVE, *DOWN, *PAUSES, e.LocalFailure("a")]


@dataclass(frozen=True)
class OpenCall:
    admission: Admission
    at_s: float
    probes: tuple[Guard, ...]
    """The guards whose probe it is."""


class HealthMachine(RuleBasedStateMachine):
    """One process: calls begin, wait and end."""

    balance = "weighted"
    slow_after_s: float | None = None

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.last_failure_s = 0.0
        self.calls: list[OpenCall] = []
        self.health: Health = health_of(
            POOL,
            balance=self.balance,
            failures=2,
            min_calls=4,
            open_s=10.0,
            max_open_s=MAX_OPEN_S,
            down_s=DOWN_S,
            window_s=30.0,
            slow_after_s=self.slow_after_s,
        )

    def begin(self, admission: Admission | None) -> None:
        if admission is None:
            return
        guards = self.health._places[admission.endpoint.id].guards
        probes = tuple(guard for guard in guards if guard.breaker.is_open) if admission.probe else ()
        self.calls.append(OpenCall(admission, self.now_s, probes))

    def end(self, data: st.DataObject) -> OpenCall:
        return self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 5.0, 10.0, 20.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(model=st.sampled_from(MODELS))
    def admit(self, model: str) -> None:
        self.begin(self.health.admit(model, self.now_s))

    @rule(models=st.lists(st.sampled_from(MODELS), min_size=1, unique=True))
    def force(self, models: list[str]) -> None:
        usable = [model for model in models if self._usable(model)]
        admission = self.health.least_bad(models, self.now_s)
        assert admission is not None
        assert admission.forced == (not usable)
        if admission.forced and any(not self._down(model) for model in models):
            assert not self._down_endpoint(admission.endpoint.id)
        self.begin(admission)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        call = self.end(data)
        place = self.health._places[call.admission.endpoint.id]
        heeded = [guard for guard in call.probes if guard.breaker.since_s <= call.at_s]
        self.health.succeeded(place.endpoint.id, self.now_s, latency_s=self.now_s - call.at_s)
        assert not any(guard.breaker.is_open for guard in heeded)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), error=st.sampled_from(ERRORS))
    def fail(self, data: st.DataObject, error: ModelCallError) -> None:
        call = self.end(data)
        self.last_failure_s = self.now_s
        self.health.failed(
            call.admission.endpoint.id,
            error,
            self.now_s,
            latency_s=self.now_s - call.at_s,
            probe=call.admission.probe,
        )

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        call = self.end(data)
        self.health.released(
            call.admission.endpoint.id, self.now_s, probe=call.admission.probe, latency_s=self.now_s - call.at_s
        )

    @invariant()
    def at_most_one_probe_of_a_breaker_is_under_way(self) -> None:
        live = [call for call in self.calls if self.now_s < call.at_s + PROBE_S]
        for guard in self._guards():
            probes = [call for call in live if guard in call.probes and call.at_s >= guard.breaker.since_s]
            assert len(probes) <= 1

    @invariant()
    def what_is_sidelined_is_what_is_not_admitted(self) -> None:
        sidelined = self.health.sidelined(self.now_s)
        for model in MODELS:
            hard = model in sidelined and sidelined[model].code != "slow"
            assert self._usable(model) != hard
            if model in sidelined:
                assert sidelined[model].until_s > self.now_s

    @invariant()
    def nothing_stays_closed_longer_than_it_may_without_new_failures(self) -> None:
        for guard in self._guards():
            assert guard.breaker.until_s <= self.last_failure_s + max(MAX_OPEN_S, DOWN_S)
            assert guard.gate_until_s <= self.last_failure_s + MAX_OPEN_S

    @invariant()
    def calls_under_way_are_counted(self) -> None:
        counted = {state.id: state.in_flight for state in self.health.states(self.now_s)}
        assert sum(counted.values()) == len(self.calls)

    def teardown(self) -> None:
        later_s = self.now_s + max(MAX_OPEN_S, DOWN_S) + PROBE_S
        assert self.health.sidelined(later_s) == {}
        assert all(self.health.admit(model, later_s) for model in MODELS[:2])

    def _usable(self, model: str) -> bool:
        """Ask by being admitted, and give it back."""
        admission = self.health.admit(model, self.now_s)
        if admission is not None:
            self.health.released(admission.endpoint.id, self.now_s, probe=admission.probe)
        return admission is not None

    def _guards(self) -> list[Guard]:
        return [guard for place in self.health._places.values() for guard in place.guards]

    def _down(self, model: str) -> bool:
        return all(self._down_endpoint(place.endpoint.id) for place in self.health._models[model])

    def _down_endpoint(self, endpoint_id: str) -> bool:
        return any(g.breaker.is_open and g.breaker.down for g in self.health._places[endpoint_id].guards)


class LeastLatencyMachine(HealthMachine):
    """The same with the other balance, and with slowness."""

    balance = "least_latency"
    slow_after_s = 4.0


HealthMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
LeastLatencyMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestHealth = HealthMachine.TestCase
TestHealthByLatency = LeastLatencyMachine.TestCase
