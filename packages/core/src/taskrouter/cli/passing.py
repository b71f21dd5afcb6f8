"""What has passed lately: a window over the ledger's steps, and the figures of its last minutes."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from taskrouter.ledger import Event, Pool, Record, baseline_usd, served_other

WINDOW_S: Final = 3600.0
"""What is older is forgotten."""
KEPT: Final = 20_000
"""Steps that are kept at most, about 20 MB; the oldest go first."""
SHOWN: Final = 200
"""Steps that are kept with all that can be shown of them."""
MINUTES: Final = (1, 5, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Figures of a stretch of time."""

    steps: int
    """Of the application: what is tried beside them only counts in the spending."""
    answered: int
    spent_usd: float | None
    """All that was paid in this time as far as prices are known, trials included; None: nothing is known of it."""
    trials_usd: float
    """The part of it that went into trials: shadows, judges, calibration."""
    unpriced: int
    """Steps and trials of unknown cost."""
    saving: float | None
    """Share of the incumbent's price that was saved, net of all that was paid beside; negative: it cost more."""
    errors: float | None
    """Share of the steps that nobody answered; those that the caller gave up are no errors."""
    fallbacks: float | None
    """Share of the steps that another model answered than the plan's."""
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTotals:
    """Figures of a model in the window."""

    model: str
    answers: int
    """Steps that it has answered."""
    calls: int
    failed: int
    spent_usd: float | None
    p50_s: float | None
    """Of its good calls."""
    p95_s: float | None


class _Call(NamedTuple):
    model: str
    status: str
    cost_usd: float | None
    latency_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What the figures need of a record, which is a tenth of it."""

    id: str
    at_s: float
    trial: bool
    status: str
    model: str | None
    """Which answered."""
    cost_usd: float | None
    spent_usd: float | None
    """What is known of the cost, where that is not all."""
    baseline_usd: float | None
    latency_s: float | None
    calls: tuple[_Call, ...]
    served_other: int


@dataclass(slots=True)
class _Model:
    answers: int = 0
    calls: int = 0
    failed: int = 0
    costs: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)


class Passing:
    """Holds the steps of the last hour, each once, in the order in which they came.

    Args:
        kept: steps that are kept at most.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self.cut = False
        """Whether more has passed than is kept, so that the figures are of a shorter time."""
        self._steps: deque[_Step] = deque()
        self._ids: set[str] = set()
        self._newest: deque[Record] = deque(maxlen=SHOWN)
        self._breakers: dict[str, Event] = {}
        self.pools: Mapping[str, Pool] = {}
        """By policy version."""

    def add(self, records: Sequence[Record], now_s: float) -> list[Record]:
        """Take records in; return those that were not known before."""
        new = [record for record in records if record.id not in self._ids]
        for record in new:
            self._ids.add(record.id)
            self._steps.append(self._step(record))
        self._newest.extend(record for record in new if not record.is_trial)
        self._forget(now_s)
        return new

    def _forget(self, now_s: float) -> None:
        while self._steps and self._steps[0].at_s < now_s - WINDOW_S:
            self._ids.discard(self._steps.popleft().id)
            self.cut = False
        while len(self._steps) > self.kept:
            self._ids.discard(self._steps.popleft().id)
            self.cut = True
        while self._newest and self._newest[0].at_s < now_s - WINDOW_S:
            self._newest.popleft()

    def _step(self, record: Record) -> _Step:
        outcome = record.outcome
        return _Step(
            id=record.id,
            at_s=record.at_s,
            trial=record.is_trial,
            status=outcome.status,
            model=outcome.model if record.answered else None,
            cost_usd=outcome.cost_usd,
            spent_usd=_known(record),
            baseline_usd=self.baseline_usd(record),
            latency_s=outcome.latency_s,
            calls=tuple(_Call(call.model, call.status, call.cost_usd, call.latency_s) for call in outcome.calls),
            served_other=self.served_by_other(record),
        )

    def told(self, events: Sequence[Event]) -> None:
        """Take in what happened to breakers."""
        for event in events:
            if event.kind == "breaker" and event.endpoint is not None:
                self._breakers[event.endpoint] = event

    @property
    def served_other(self) -> int:
        """Calls that another model has answered than the one that was asked, by what the provider says."""
        return sum(step.served_other for step in self._steps)

    def open_breakers(self, now_s: float) -> list[Event]:
        """Return what was last heard of breakers that are not closed, the newest first."""
        heard = (event for event in self._breakers.values() if event.at_s >= now_s - WINDOW_S)
        return sorted((e for e in heard if e.state in {"open", "down"}), key=lambda event: -event.at_s)

    def newest(self, count: int) -> list[Record]:
        """Return the newest steps, the newest first; trials are none."""
        return list(self._newest)[::-1][:count]

    def baseline_usd(self, record: Record) -> float | None:
        """Return what the incumbent would have cost for the same answer; None also where nobody got one."""
        return baseline_usd(record, self.pools.get(record.policy_version)) if record.answered else None

    def served_by_other(self, record: Record) -> int:
        """Return how many of a step's calls another model has answered than the one that was asked."""
        pool = self.pools.get(record.policy_version)
        return sum(served_other(call, pool) for call in record.outcome.calls if call.served is not None)

    def totals(self, minutes: int, now_s: float) -> Totals:
        """Return the figures of the last minutes."""
        since_s = now_s - 60.0 * minutes
        within = [step for step in self._steps if step.at_s >= since_s]
        steps = [step for step in within if not step.trial]
        kept = [step for step in steps if step.status != "cancelled"]
        answered = [step for step in steps if step.model is not None]
        latencies = sorted(step.latency_s for step in answered if step.latency_s is not None)
        return Totals(
            steps=len(steps),
            answered=len(answered),
            spent_usd=known_sum([step.spent_usd for step in within]),
            trials_usd=math.fsum(step.spent_usd or 0.0 for step in within if step.trial),
            unpriced=sum(step.cost_usd is None for step in within),
            saving=_saving(within),
            errors=_share(sum(step.status == "exhausted" for step in kept), len(kept)),
            fallbacks=_share(sum(step.status == "fallback" for step in kept), len(kept)),
            p50_s=quantile(latencies, 0.5),
            p95_s=quantile(latencies, 0.95),
        )

    def by_model(self) -> list[ModelTotals]:
        """Return the figures of every model that was called, the dearest first."""
        models: defaultdict[str, _Model] = defaultdict(_Model)
        for step in self._steps:
            for call in step.calls:
                one = models[call.model]
                one.calls += 1
                one.failed += call.status == "failed"
                if call.cost_usd is not None:
                    one.costs.append(call.cost_usd)
                if call.status == "ok" and call.latency_s is not None:
                    one.latencies_s.append(call.latency_s)
            if step.model is not None:
                models[step.model].answers += 1
        rows = [_model_totals(name, one) for name, one in models.items()]
        return sorted(rows, key=lambda row: (-(row.spent_usd or 0.0), row.model))

    def to_dict(self, now_s: float) -> dict[str, Any]:
        """Return all figures as JSON-ready values."""
        return {
            "at_s": round(now_s, 3),
            "totals": {f"{minutes}m": asdict(self.totals(minutes, now_s)) for minutes in MINUTES},
            "served_other": self.served_other,
            "models": [asdict(row) for row in self.by_model()],
            "breakers": [event.model_dump(mode="json") for event in self.open_breakers(now_s)],
        }


def _known(record: Record) -> float | None:
    """Return what is known of a cost."""
    whole_usd, calls = record.outcome.cost_usd, record.outcome.calls
    return whole_usd if whole_usd is not None or not calls else known_sum([call.cost_usd for call in calls])


def _model_totals(name: str, one: _Model) -> ModelTotals:
    latencies = sorted(one.latencies_s)
    return ModelTotals(
        model=name,
        answers=one.answers,
        calls=one.calls,
        failed=one.failed,
        spent_usd=known_sum(one.costs) if one.costs else None,
        p50_s=quantile(latencies, 0.5),
        p95_s=quantile(latencies, 0.95),
    )


def _saving(within: Sequence[_Step]) -> float | None:
    """Compare over the steps whose price and baseline are both known; what trials cost is taken off."""
    spent = baseline = 0.0
    for step in within:
        if step.cost_usd is not None and (step.baseline_usd is not None or step.model is None):
            spent += step.cost_usd
            baseline += step.baseline_usd or 0.0
    return 1.0 - spent / baseline if baseline else None


def known_sum(amounts: Sequence[float | None]) -> float | None:
    """Return the sum of what is known; None where there is something, and none of it is known."""
    known = [amount for amount in amounts if amount is not None]
    return math.fsum(known) if known or not amounts else None


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest of ordered values that this share of them does not exceed; None where there is none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _share(count: int, of: int) -> float | None:
    return count / of if of else None
