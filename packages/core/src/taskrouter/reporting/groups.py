"""Steps and calls added up by whose they are: agent, node, task type, tenant, model."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from taskrouter.ledger import Record
from taskrouter.reporting.bill import Bill
from taskrouter.reporting.counts import Failure, Group, ModelFigures
from taskrouter.reporting.times import Times

MOST: Final = 1000
"""Names of one kind that are told apart; names that change with every run would fill the memory."""
OTHERS: Final = "(others)"
NONE: Final = "(none)"


class _Tally:
    def __init__(self) -> None:
        self.steps = self.exhausted = self.unpriced = self.compared = 0
        self.spend_usd = self.saved_usd = 0.0
        self.times = Times()


class Groups:
    """Adds up steps by agent, node, task type and tenant."""

    def __init__(self) -> None:
        self._tallies: dict[str, dict[str, _Tally]] = {key: {} for key in ("agent", "node", "task", "tenant")}

    def add(self, record: Record, bill: Bill) -> None:
        """Add a record. A trial adds to the spend of the step that it was made for, and is no step itself."""
        names = {
            "agent": record.agent,
            "node": record.node,
            "task": record.profile.task_type,
            "tenant": record.tenant,
        }
        for key, name in names.items():
            _add(_of(self._tallies[key], name or NONE), record, bill)

    def figures(self, spend_usd: float) -> dict[str, tuple[Group, ...]]:
        """Return the groups of each kind, largest spend first."""
        return {
            key: tuple(
                sorted(
                    (_group(name, tally, spend_usd) for name, tally in tallies.items()),
                    key=lambda group: (-group.spend_usd, -group.steps, group.name),
                )
            )
            for key, tallies in self._tallies.items()
        }


def _of(tallies: dict[str, _Tally], name: str) -> _Tally:
    if name not in tallies and len(tallies) >= MOST:
        name = OTHERS
    return tallies.setdefault(name, _Tally())


def _add(tally: _Tally, record: Record, bill: Bill) -> None:
    tally.spend_usd += bill.known_usd
    tally.unpriced += bill.unpriced
    if bill.comparable and bill.baseline_usd is not None:
        tally.compared += 1
        tally.saved_usd += bill.baseline_usd - bill.known_usd
    if record.is_trial:
        return
    tally.steps += 1
    tally.exhausted += record.outcome.status == "exhausted"
    if record.answered:
        tally.times.add(record.outcome.latency_s)


def _group(name: str, tally: _Tally, spend_usd: float) -> Group:
    (p95_s,) = tally.times.quantiles((0.95,))
    return Group(
        name=name,
        steps=tally.steps,
        spend_usd=tally.spend_usd,
        unpriced_calls=tally.unpriced,
        share=tally.spend_usd / spend_usd if spend_usd else None,
        saved_usd=tally.saved_usd if tally.compared else None,
        mean_s=tally.times.mean_s,
        p95_s=p95_s,
        error_rate=tally.exhausted / tally.steps if tally.steps else None,
    )


class _ModelTally:
    def __init__(self) -> None:
        self.calls = self.failed = self.answers = self.unpriced = self.compared = 0
        self.spend_usd = self.saved_usd = 0.0
        self.times, self.first_token = Times(), Times()


class Models:
    """Adds up calls by model."""

    def __init__(self) -> None:
        self._tallies: dict[str, _ModelTally] = defaultdict(_ModelTally)
        self._failures: dict[tuple[str, str], int] = defaultdict(int)

    def add(self, record: Record, bill: Bill) -> None:
        """Add the calls of a record."""
        for _, call, cost_usd in bill.charges:
            model = call.model if call is not None else record.outcome.model or record.plan.models[0]
            tally = self._tallies[model]
            tally.calls += 1
            tally.unpriced += cost_usd is None
            tally.spend_usd += cost_usd or 0.0
            if call is None:
                continue
            if call.status == "ok":
                tally.times.add(call.latency_s)
                tally.first_token.add(call.first_token_s)
            elif call.status == "failed":
                tally.failed += 1
                self._failures[model, call.error_type or "unknown"] += 1
        if record.answered and record.outcome.model is not None:
            self._answered(self._tallies[record.outcome.model], bill)

    def figures(self, spend_usd: float) -> tuple[ModelFigures, ...]:
        """Return the models, largest spend first."""
        found = [
            ModelFigures(
                model=model,
                calls=tally.calls,
                answers=tally.answers,
                spend_usd=tally.spend_usd,
                unpriced_calls=tally.unpriced,
                share=tally.spend_usd / spend_usd if spend_usd else None,
                saved_usd=tally.saved_usd if tally.compared else None,
                error_rate=tally.failed / tally.calls if tally.calls else None,
                latency=tally.times.latency(),
                first_token=tally.first_token.latency(),
            )
            for model, tally in self._tallies.items()
        ]
        return tuple(sorted(found, key=lambda model: (-model.spend_usd, -model.calls, model.model)))

    def failures(self) -> tuple[Failure, ...]:
        """Return failed calls by model and kind, most frequent first."""
        found = [Failure(model=m, error_type=kind, calls=calls) for (m, kind), calls in self._failures.items()]
        return tuple(sorted(found, key=lambda failure: (-failure.calls, failure.model, failure.error_type)))

    @staticmethod
    def _answered(tally: _ModelTally, bill: Bill) -> None:
        tally.answers += 1
        if bill.comparable and bill.baseline_usd is not None:
            tally.compared += 1
            tally.saved_usd += bill.baseline_usd - bill.known_usd
