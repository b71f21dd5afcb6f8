"""What was spent and what it would have been: the bill's lines, the incumbent, and every model alone."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from taskrouter.ledger import Record
from taskrouter.ledger.pricing import taken_call
from taskrouter.reporting.amounts import Alone, Check, Day, Line, Money
from taskrouter.reporting.bill import KINDS, Bill
from taskrouter.reporting.intervals import Blocks, Sums

SHADOWED: Final = 10_000
"""Steps of runs whose reckoned price is remembered until a shadow of the incumbent shows the actual one."""
SURE: Final = 50
"""Models that get an interval, the cheapest, the best and the incumbents: of a thousand they would take a minute."""
_SPEND, _BASE, _MODEL = "spend", "base", "alone "
_FARTHEST_S: Final = 4e9
"""Beyond it a time is a mistake: the year 2096."""


class _Line:
    def __init__(self) -> None:
        self.calls = self.unpriced = 0
        self.spend_usd = self.compared_usd = 0.0


class _Day:
    def __init__(self) -> None:
        self.steps = 0
        self.spend_usd = self.compared_usd = self.baseline_usd = 0.0


class Books:
    """Adds up bills."""

    def __init__(self) -> None:
        self._lines = {kind: _Line() for kind in KINDS}
        self._days: dict[str, _Day] = {}
        self._blocks = Blocks()
        self._incumbents: Counter[str] = Counter()
        self._known: Counter[str] = Counter()
        """Compared answered steps that a model's price is known for."""
        self._alone_usd: dict[str, float] = {}
        self._compared = self._left_out = 0
        self._checks = _Checks()

    def add(self, record: Record, bill: Bill) -> None:
        """Add a record's bill."""
        for kind, _, cost_usd in bill.charges:
            line = self._lines[kind]
            line.calls += 1
            line.unpriced += cost_usd is None
            line.spend_usd += cost_usd or 0.0
            line.compared_usd += (cost_usd or 0.0) if bill.comparable else 0.0
        self._day(record, bill)
        self._checks.see(record, bill)
        if record.answered:
            self._incumbents[record.incumbent] += 1
        if bill.comparable:
            self._compare(record, bill)
        else:
            self._left_out += 1

    def figures(self, best_single: Callable[[dict[str, float]], str | None]) -> Money:
        """Return what is reported.

        Args:
            best_single: names the best model, told what each costs per step.
        """
        means = {model: self._alone_usd[model] / known for model, known in self._known.items()}
        best = best_single(means)
        complete = sorted((m for m in self._known if self._known[m] == self._compared), key=means.__getitem__)
        sure = {*complete[:SURE], *(m for m in complete if m == best or m in self._incumbents)}
        found = {
            **self._blocks.values(_figures(f"{_MODEL}{model}" for model in complete if model not in sure)),
            **self._blocks.intervals(_figures([_BASE, *(f"{_MODEL}{model}" for model in complete if model in sure)])),
        }
        alone = [
            Alone(
                model=model,
                cost_usd=self._alone_usd[model] if model in complete else None,
                mean_usd=means[model],
                saved_usd=found.get(f"saved {_MODEL}{model}"),
                saving=found.get(f"saving {_MODEL}{model}"),
                missing=self._compared - known,
            )
            for model, known in self._known.items()
        ]
        return Money(
            spend_usd=sum(line.spend_usd for line in self._lines.values()),
            unpriced_calls=sum(line.unpriced for line in self._lines.values()),
            lines=tuple(self._line(kind) for kind, line in self._lines.items() if line.calls),
            incumbents=tuple(name for name, _ in self._incumbents.most_common() if name),
            compared_steps=self._compared,
            left_out_steps=self._left_out,
            compared_usd=sum(line.compared_usd for line in self._lines.values()),
            baseline_usd=self._blocks.total(_BASE),
            saved_usd=found[f"saved {_BASE}"] if self._compared else None,
            saving=found[f"saving {_BASE}"] if self._compared else None,
            alone=tuple(sorted(alone, key=lambda one: (one.mean_usd is None, one.mean_usd or 0.0, one.model))),
            best_single=best,
            check=self._checks.figures(),
            clusters=self._blocks.count,
        )

    def days(self) -> tuple[Day, ...]:
        """Return the days, oldest first."""
        return tuple(
            Day(
                date=date,
                steps=day.steps,
                spend_usd=day.spend_usd,
                compared_usd=day.compared_usd,
                baseline_usd=day.baseline_usd,
            )
            for date, day in sorted(self._days.items())
        )

    def _line(self, kind: str) -> Line:
        line = self._lines[kind]
        return Line(
            kind=kind,
            calls=line.calls,
            spend_usd=line.spend_usd,
            unpriced=line.unpriced,
            compared_usd=line.compared_usd,
        )

    def _day(self, record: Record, bill: Bill) -> None:
        if not 0.0 <= record.at_s < _FARTHEST_S:
            return
        day = self._days.setdefault(datetime.fromtimestamp(record.at_s, UTC).date().isoformat(), _Day())
        day.steps += not record.is_trial
        day.spend_usd += bill.known_usd
        if bill.comparable:
            day.compared_usd += bill.known_usd
            day.baseline_usd += bill.baseline_usd or 0.0

    def _compare(self, record: Record, bill: Bill) -> None:
        amounts = {_SPEND: bill.known_usd, _BASE: bill.baseline_usd or 0.0}
        if record.answered:
            self._compared += 1
            for model, cost_usd in bill.alone_usd.items():
                if cost_usd is not None:
                    self._known[model] += 1
                    self._alone_usd[model] = self._alone_usd.get(model, 0.0) + cost_usd
                    amounts[f"{_MODEL}{model}"] = cost_usd
        self._blocks.add(record.run or record.of or record.id, amounts)


def _figures(columns: Iterable[str]) -> dict[str, Callable[[Sums], float | None]]:
    return {
        f"{kind} {column}": partial(figure, column)
        for column in columns
        for kind, figure in (("saved", _saved), ("saving", _saving))
    }


def _saved(column: str, sums: Sums) -> float:
    return sums[column] - sums[_SPEND]


def _saving(column: str, sums: Sums) -> float | None:
    return 1.0 - sums[_SPEND] / sums[column] if sums[column] > 0.0 else None


class _Checks:
    """Sets what the incumbent did cost beside what was reckoned for it, where it was called as well."""

    def __init__(self) -> None:
        self._steps = 0
        self._actual_usd = self._reckoned_usd = 0.0
        self._remembered: OrderedDict[str, float] = OrderedDict()
        """What was reckoned for the latest steps, by their ids, which shadows of them name."""

    def see(self, record: Record, bill: Bill) -> None:
        """Look at a record."""
        if record.is_trial:
            self._shadow(record)
        elif record.answered and bill.baseline_usd and record.outcome.model != record.incumbent:
            for call in record.outcome.calls:
                if call.model == record.incumbent and call.status == "ok" and call.cost_usd is not None:
                    self._add(call.cost_usd, bill.baseline_usd)
                    return
            self._remembered[record.id] = bill.baseline_usd
            if len(self._remembered) > SHADOWED:
                self._remembered.popitem(last=False)

    def figures(self) -> Check:
        """Return what is reported."""
        return Check(steps=self._steps, actual_usd=self._actual_usd, reckoned_usd=self._reckoned_usd)

    def _shadow(self, record: Record) -> None:
        taken = taken_call(record)
        if record.reason != "shadow" or taken is None or taken.model != record.incumbent or taken.cost_usd is None:
            return
        if record.of is not None and (reckoned_usd := self._remembered.pop(record.of, None)) is not None:
            self._add(taken.cost_usd, reckoned_usd)

    def _add(self, actual_usd: float, reckoned_usd: float) -> None:
        self._steps += 1
        self._actual_usd += actual_usd
        self._reckoned_usd += reckoned_usd
