"""`Health`: what is known of all endpoints, for threads to ask and to tell."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from threading import RLock
from types import MappingProxyType
from typing import NamedTuple

from taskrouter.config import HealthConfig
from taskrouter.errors import ModelCallError, Timeout
from taskrouter.health.balance import Balance
from taskrouter.health.breaker import SLACK_S
from taskrouter.health.guard import Guard
from taskrouter.health.latencies import Latencies
from taskrouter.health.place import Place
from taskrouter.health.sharing import Notice, SharedBreaker, SharedGate, StoredEntry
from taskrouter.health.states import EndpointState, Turn
from taskrouter.health.verdicts import Verdict, verdict
from taskrouter.ports import Admission, Endpoint, Sidelined


class _Snapshot(NamedTuple):
    holds_until_s: float
    sidelined: Mapping[str, Sidelined]


_ALL_WELL: Mapping[str, Sidelined] = MappingProxyType({})
_OUTDATED = _Snapshot(-math.inf, _ALL_WELL)
UNHEARD = 1000
"""Turns of breakers that wait at most for somebody who wants to know of them."""


class Health:
    """Which endpoints can be called now, and how fast they have been lately.

    Every endpoint and every quota group has a circuit breaker (closed, open, half-open with one probe at a time) and a
    rate gate, which is closed for as long as a provider asks. Faults open the breaker: so many in a row, or too large
    a share of the calls within a window. What is the account's (429, 401, 403) is booked on the quota group. A call
    that began before a breaker last changed does not change it again.

    A slow endpoint (`slow_after_s`) is put behind others for one window. Then one call is let through as a probe: if
    it is quick, the endpoint is judged anew, else it stays behind for another window.

    With `enabled = False` everything is admitted, and latencies and calls under way are still observed.

    Safe for threads. It has no clock: `now_s` is the caller's, in monotonic seconds, and `latency_s` ends at `now_s`.

    Args:
        endpoints: the pool's endpoints; their ids differ.
        config: when to leave an endpoint alone, and for how long.
        balance: how calls are spread over the deployments of a model: `weighted` or `least_latency`.
        region: region that deployments are preferred from.
        rng: source of the draws; a seeded one makes them reproducible.

    Raises:
        ValueError: `balance` has another name.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        config: HealthConfig,
        *,
        balance: str = "weighted",
        region: str | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._config = config
        self._balance = Balance(balance, region, config.window_s, rng or random.Random())
        # It may be taken twice: a stream that nobody holds any more ends wherever its garbage is collected.
        self._lock = RLock()
        self.turns: deque[Turn] = deque(maxlen=UNHEARD)
        """Breakers that calls of this process have opened or closed, oldest first, for whoever takes them out."""
        self._snapshot = _OUTDATED
        self._medians: Mapping[str, float] = MappingProxyType({})
        self._groups: dict[str, Guard] = {}
        self._places: dict[str, Place] = {}
        self._models: dict[str, list[Place]] = {}
        for endpoint in endpoints:
            place = Place(endpoint, Guard("endpoint", endpoint.id, config), self._group(endpoint.quota_group))
            self._places[endpoint.id] = place
            self._models.setdefault(endpoint.model, []).append(place)
        # The latencies of a model with one endpoint are that endpoint's.
        self._latencies = {
            model: places[0].latencies if len(places) == 1 else Latencies() for model, places in self._models.items()
        }
        guards = [*(place.guard for place in self._places.values()), *self._groups.values()]
        self._shared: tuple[SharedBreaker | SharedGate, ...] = tuple(
            shared(guard) for guard in guards for shared in (SharedBreaker, SharedGate)
        )

    def _group(self, name: str | None) -> Guard | None:
        if name is None:
            return None
        return self._groups.setdefault(name, Guard("group", name, self._config))

    # --- choosing ---------------------------------------------------------------------------------------------------

    def sidelined(self, now_s: float) -> Mapping[str, Sidelined]:
        """Return the models that cannot be called now, or only after others because they are slow, with the reason.

        A model is in it only if that holds for all of its endpoints. Costs next to nothing until something changes.
        """
        snapshot = self._snapshot
        if now_s < snapshot.holds_until_s:
            return snapshot.sidelined
        with self._lock:
            self._snapshot = snapshot = self._look(now_s)
        return snapshot.sidelined

    def admit(
        self, model: str, now_s: float, *, tried: Container[str] = (), regions: frozenset[str] | None = None
    ) -> Admission | None:
        """Choose a usable endpoint of a model, and take the probe's slot if it is half-open; None: there is none.

        Whoever is admitted must report: `succeeded`, `failed` or `released`.

        Args:
            model: id of the model.
            now_s: the time.
            tried: ids of endpoints that will not do.
            regions: the endpoint must lie in one of them; None: anywhere.
        """
        with self._lock:
            return self._admit(model, now_s, tried, regions)

    def least_bad(
        self, models: Sequence[str], now_s: float, *, tried: Container[str] = (), regions: frozenset[str] | None = None
    ) -> Admission | None:
        """Choose an endpoint although none is usable: the one that is nearest to being so, what is down coming last.

        If one has become usable meanwhile it is admitted as by `admit`. None: all were tried or lie elsewhere.
        """
        with self._lock:
            for model in models:
                if admission := self._admit(model, now_s, tried, regions):
                    return admission
            left = [place for model in models for place in self._models[model] if place.fits(tried, regions)]
            if not left:
                return None
            place = min(left, key=lambda place: place.badness(now_s))
            place.in_flight += 1
            reason = place.blocked(now_s)
        note = "nothing can be called at the moment" + (f"; the least bad: {reason.detail}" if reason else "")
        return Admission(endpoint=place.endpoint, forced=True, note=note)

    # --- learning ---------------------------------------------------------------------------------------------------

    def succeeded(
        self, endpoint_id: str, now_s: float, *, latency_s: float, first_token_s: float | None = None
    ) -> None:
        """A call was answered.

        Args:
            endpoint_id: the endpoint that was called.
            now_s: when the answer was complete.
            latency_s: how long the call took, seconds.
            first_token_s: of a stream, how long the first meaningful chunk took, seconds.
        """
        started_s = now_s - latency_s
        with self._lock:
            place = self._places[endpoint_id]
            place.leave()
            place.answered_at_s = now_s
            if first_token_s is not None:
                place.first_tokens.add(now_s, first_token_s)
            self._observe(place, now_s, latency_s)
            if not self._config.enabled:
                return
            before = place.states()
            changed = place.guard.succeeded(now_s, started_s)
            if place.group is not None:
                changed |= place.group.succeeded(now_s, started_s)
            if changed:
                self.turns.extend(place.turns(before))
            if self._config.slow_after_s is not None:
                changed |= self._judge_pace(place, now_s, latency_s, self._config.slow_after_s)
            if changed:
                self._snapshot = _OUTDATED

    def failed(
        self, endpoint_id: str, error: ModelCallError, now_s: float, *, latency_s: float, probe: bool = True
    ) -> None:
        """A call failed; what that means is in the table of `verdicts`.

        Args:
            endpoint_id: the endpoint that was called.
            error: why.
            now_s: when it failed.
            latency_s: how long the call took, seconds.
            probe: False if its admission was no probe: then it has no slot to give back.
        """
        started_s = now_s - latency_s
        with self._lock:
            place = self._places[endpoint_id]
            place.leave()
            said = verdict(error)
            if said is Verdict.ALIVE:
                place.answered_at_s = now_s
            if isinstance(error, Timeout):
                self._observe_at_least(place, now_s, latency_s)
            if not self._config.enabled:
                return
            before = place.states()
            changed = _learn(place, said, error, now_s, started_s)
            self.turns.extend(place.turns(before))
            if probe:
                changed |= place.give_back(started_s)
            if changed:
                self._snapshot = _OUTDATED

    def released(self, endpoint_id: str, now_s: float, *, probe: bool = True, latency_s: float = 0.0) -> None:
        """A call was cancelled, or never made: no verdict.

        Args:
            endpoint_id: the endpoint that was to be called.
            now_s: the time.
            probe: False if its admission was no probe: then it has no slot to give back.
            latency_s: how long the call was under way, seconds: a probe that was taken for lost has no slot any more.
        """
        with self._lock:
            place = self._places[endpoint_id]
            place.leave()
            if probe and place.give_back(now_s - latency_s):
                self._snapshot = _OUTDATED

    # --- times ------------------------------------------------------------------------------------------------------

    def latency_s(self, model: str, quantile: float = 0.5) -> float | None:
        """Return how many seconds this share of the model's last calls stayed within; None with too few to tell.

        Raises:
            ValueError: the quantile is not between 0 and 1.
        """
        if not 0.0 <= quantile <= 1.0:
            raise ValueError(f"quantile is {quantile!r}; it must lie between 0 and 1")
        with self._lock:
            return self._latencies[model].quantile(quantile)

    def latencies_s(self) -> Mapping[str, float]:
        """Return the median latency by model id, of the models with enough calls; it does not change afterwards."""
        return self._medians

    def cold_start_s(self, endpoint_id: str, now_s: float) -> float:
        """Return the seconds that waking the endpoint would add now: 0 where it has answered lately or never sleeps."""
        place = self._places[endpoint_id]
        warmup = place.endpoint.warmup
        if warmup is None or now_s - place.answered_at_s < warmup.idle_s:
            return 0.0
        return warmup.cold_start_s

    # --- telling ----------------------------------------------------------------------------------------------------

    def states(self, now_s: float) -> tuple[EndpointState, ...]:
        """Return what is known of every endpoint, in the pool's order."""
        with self._lock:
            return tuple(self._state(place, now_s) for place in self._places.values())

    def changes(self, now_s: float, epoch_s: float) -> Mapping[str, Notice | None]:
        """Return what has changed since the last call and others should know: entries by key, None for one to remove.

        What does not arrive in the store, as `adopt` sees, is handed out again.

        Args:
            now_s: the time.
            epoch_s: the same moment in seconds since the epoch.
        """
        if not self._config.enabled:
            return {}
        with self._lock:
            return {key: notice for shared in self._shared for key, notice in shared.news(now_s, epoch_s).items()}

    def adopt(self, entries: Mapping[str, StoredEntry], now_s: float, epoch_s: float) -> None:
        """Take over what other processes have opened or closed. Entries that make no sense are ignored.

        Args:
            entries: all entries of the space that `changes` are put into.
            now_s: the time.
            epoch_s: the same moment in seconds since the epoch.
        """
        if not self._config.enabled:
            return
        with self._lock:
            for shared in self._shared:
                if shared.adopt(entries.get(shared.key), now_s, epoch_s):
                    self._snapshot = _OUTDATED

    # --- under the lock ---------------------------------------------------------------------------------------------

    def _admit(
        self, model: str, now_s: float, tried: Container[str], regions: frozenset[str] | None
    ) -> Admission | None:
        usable = [place for place in self._models[model] if place.fits(tried, regions) and place.passes(now_s)]
        if not usable:
            return None
        place = usable[0] if len(usable) == 1 else self._balance.choose(usable, now_s)
        if not place.enter(now_s):
            return place.admission
        self._snapshot = _OUTDATED
        return Admission(endpoint=place.endpoint, probe=True)

    def _look(self, now_s: float) -> _Snapshot:
        """Look at every guard, and say when time alone will change what they let through."""
        holds_until_s = math.inf
        for guard in (*(place.guard for place in self._places.values()), *self._groups.values()):
            guard.settle(now_s)
            holds_until_s = min(holds_until_s, guard.looks_again_at_s(now_s))
        for place in self._places.values():
            if not place.slow.passes(now_s):
                holds_until_s = min(holds_until_s, place.slow.passes_at_s(now_s) - SLACK_S)
        found = {model: why for model, places in self._models.items() if (why := self._why(places, now_s))}
        return _Snapshot(holds_until_s, MappingProxyType(found) if found else _ALL_WELL)

    def _why(self, places: Sequence[Place], now_s: float) -> Sidelined | None:
        usable = [place for place in places if place.passes(now_s)]
        if any(place.slow.passes(now_s) for place in usable):
            return None
        reasons = [(place, self._reason(place, now_s)) for place in usable or places]
        place, why = min(((p, reason) for p, reason in reasons if reason), key=lambda pair: pair[1].until_s)
        if len(places) == 1:
            return why
        return why._replace(
            detail=f"none of {len(places)} deployments is well; first {place.endpoint.id!r}: {why.detail}"
        )

    def _reason(self, place: Place, now_s: float) -> Sidelined | None:
        if blocked := place.blocked(now_s):
            return blocked
        slow = place.slow
        return None if slow.passes(now_s) else Sidelined("slow", slow.why, slow.passes_at_s(now_s))

    def _observe(self, place: Place, now_s: float, latency_s: float) -> None:
        place.observe(now_s, latency_s)
        model = place.endpoint.model
        latencies = self._latencies[model]
        if latencies is not place.latencies:
            latencies.add(now_s, latency_s)
        median_s = latencies.quantile(0.5)
        if median_s is not None and median_s != self._medians.get(model):
            self._medians = MappingProxyType({**self._medians, model: median_s})

    def _observe_at_least(self, place: Place, now_s: float, latency_s: float) -> None:
        """A timeout tells how long an answer takes at least: that is news where it is more than usual."""
        usual_s = place.latencies.quantile(0.5)
        if usual_s is not None and latency_s > usual_s:
            self._observe(place, now_s, latency_s)
        limit_s = self._config.slow_after_s
        if limit_s is None or latency_s <= limit_s or not self._config.enabled:
            return
        if self._judge_pace(place, now_s, latency_s, limit_s):
            self._snapshot = _OUTDATED

    def _judge_pace(self, place: Place, now_s: float, latency_s: float, limit_s: float) -> bool:
        """Put an endpoint behind others or take it back; return whether that changed anything."""
        slow, window_s = place.slow, self._config.window_s
        if slow.is_open and not slow.waits(now_s):
            judged_s = latency_s if slow.heeds(now_s - latency_s) else None
            what = "the probe took"
        else:
            judged_s = place.latencies.median_after(max(now_s - window_s, slow.since_s))
            what = f"median latency within {window_s:g} s is"
        if judged_s is None or (judged_s <= limit_s and not slow.is_open):
            return False
        if judged_s <= limit_s:
            slow.close(now_s)
        else:
            slow.open(now_s, window_s, f"slow: {what} {judged_s:.1f} s, more than slow_after_s = {limit_s:g} s")
        return True

    def _state(self, place: Place, now_s: float) -> EndpointState:
        reason = self._reason(place, now_s)
        counts = place.guard.counts
        counts.look(now_s)
        names = {guard.breaker.state(now_s) for guard in place.guards}
        return EndpointState(
            id=place.endpoint.id,
            model=place.endpoint.model,
            quota_group=place.endpoint.quota_group,
            breaker="open" if "open" in names else "half_open" if "half_open" in names else "closed",
            code=reason.code if reason else None,
            why=reason.detail if reason else "",
            left_s=max(0.0, reason.until_s - now_s) if reason else 0.0,
            calls=counts.calls,
            error_rate=counts.faults / counts.calls if counts.calls else None,
            latency_s=place.latencies.quantile(0.5),
            first_token_s=place.first_tokens.quantile(0.5),
            in_flight=place.in_flight,
        )


def _learn(place: Place, said: Verdict, error: ModelCallError, now_s: float, started_s: float) -> bool:
    """Book a failure on the guards; return whether it changed what they let through."""
    culprit = place.culprit(error)
    match said:
        case Verdict.ALIVE:
            changed = [guard.alive(now_s, started_s) for guard in place.guards]
            return any(changed)
        case Verdict.FAULT:
            return culprit.faulted(now_s, started_s, error.kind)
        case Verdict.DOWN:
            return culprit.mark_down(now_s, started_s, error.kind)
        case Verdict.LIMITED:
            return culprit.limit(now_s, error.retry_after_s or 0.0)
        case Verdict.NOTHING:
            return False
