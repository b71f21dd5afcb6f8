"""The decisions that are looked at first: the dearest, and those that rest on the least."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final, TypeAlias

from taskrouter.ledger import Record
from taskrouter.reporting.bill import Bill
from taskrouter.reporting.groups import MOST
from taskrouter.reporting.judged import Noteworthy

SHOWN: Final = 10
ALIKE: Final = 2
Entry: TypeAlias = tuple[tuple[float, float], int, Record, float | None]
"""What it is sorted by, when it came, the record and its cost."""


class Top:
    """Keeps the records with the largest keys.

    Args:
        shown: how many.
    """

    def __init__(self, shown: int = SHOWN) -> None:
        self._shown = shown
        self._heap: list[Entry] = []
        self._seen = 0

    def add(self, key: tuple[float, float], record: Record, cost_usd: float | None) -> None:
        """Offer a record."""
        self._seen += 1
        entry = (key, -self._seen, record, cost_usd)  # of equal ones the earlier
        if len(self._heap) < self._shown:
            heapq.heappush(self._heap, entry)
        elif entry[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, entry)

    @property
    def ids(self) -> list[str]:
        """Of the decisions that are kept."""
        return [record.id for _, _, record, _ in self.entries()]

    def entries(self) -> list[Entry]:
        """Return what is kept, largest first."""
        return sorted(self._heap, key=_key, reverse=True)

    def figures(self, explain: Callable[[Record], str]) -> tuple[Noteworthy, ...]:
        """Return what is reported, largest first."""
        return tuple(_noteworthy(record, cost_usd, explain(record)) for _, _, record, cost_usd in self.entries())


class Spread(Top):
    """The same, but at most two records of one identity while there are others: they would all say the same."""

    def __init__(self, shown: int = SHOWN) -> None:
        super().__init__(shown)
        self._alike: dict[str, Top] = {}

    def add(self, key: tuple[float, float], record: Record, cost_usd: float | None) -> None:
        """Offer a record."""
        super().add(key, record, cost_usd)
        if record.identity in self._alike or len(self._alike) < MOST:
            self._alike.setdefault(record.identity, Top(ALIKE)).add(key, record, cost_usd)

    def entries(self) -> list[Entry]:
        """Return what is kept, largest first."""
        spread = sorted((e for top in self._alike.values() for e in top.entries()), key=_key, reverse=True)
        chosen = spread[: self._shown]
        ids = {record.id for _, _, record, _ in chosen}
        others = [entry for entry in super().entries() if entry[2].id not in ids]
        return sorted([*chosen, *others[: self._shown - len(chosen)]], key=_key, reverse=True)


class Noted:
    """The dearest steps and the least certain ones."""

    def __init__(self) -> None:
        self.dearest = Top()
        self.least_certain = Spread()

    def add(self, record: Record, bill: Bill) -> None:
        """Offer a step of the application."""
        cost_usd = None if bill.unpriced else bill.known_usd
        if bill.known_usd > 0.0:
            self.dearest.add((bill.known_usd, 0.0), record, cost_usd)
        width = width_of(record)
        if width is not None:
            self.least_certain.add((width, 1.0 - record.profile.confidence), record, cost_usd)


def _key(entry: Entry) -> tuple[tuple[float, float], int]:
    return entry[:2]


def width_of(record: Record) -> float | None:
    """Return how wide the interval of a decision's expected loss is; None where it was none."""
    return None if record.loss is None else record.loss.high - record.loss.low


def _noteworthy(record: Record, cost_usd: float | None, explanation: str) -> Noteworthy:
    return Noteworthy(
        id=record.id,
        at_s=record.at_s,
        agent=record.agent,
        node=record.node,
        tenant=record.tenant,
        task_type=record.profile.task_type,
        plan=str(record.plan.plan),
        model=record.outcome.model,
        status=record.outcome.status,
        cost_usd=cost_usd,
        confidence=record.profile.confidence,
        width=width_of(record),
        explanation=explanation,
    )
