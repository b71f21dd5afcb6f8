"""What went wrong beside the bill: breakers, steps that could not be decided, answers of other models than asked."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from taskrouter.catalog.served import same_model
from taskrouter.ledger import Event, Pool, Record
from taskrouter.reporting.counts import Breaker, Mismatch, Refusal, Served, Shift

SHIFTS: Final = 200
"""The latest changes of a breaker that are shown."""


class _History:
    def __init__(self) -> None:
        self.shifts: deque[Shift] = deque(maxlen=SHIFTS)
        self.opened = 0
        self.out_s = 0.0
        self.out_since_s: float | None = None

    def add(self, event: Event, since_s: float) -> None:
        state = event.state or "closed"
        at_s = max(event.at_s, since_s)
        if state == "closed":
            if self.out_since_s is not None:
                self.out_s += max(0.0, at_s - self.out_since_s)
            self.out_since_s = None
        elif self.out_since_s is None:
            self.out_since_s = at_s
        if event.at_s >= since_s:
            self.opened += state != "closed"
            self.shifts.append(Shift(at_s=event.at_s, state=state, why=event.why))

    def figures(self, endpoint: str, until_s: float) -> Breaker:
        out_s = self.out_s if self.out_since_s is None else self.out_s + max(0.0, until_s - self.out_since_s)
        now = "closed" if self.out_since_s is None else self.shifts[-1].state if self.shifts else "open"
        return Breaker(endpoint=endpoint, now=now, opened=self.opened, out_s=out_s, shifts=tuple(self.shifts))


def breakers_of(events: Iterable[Event], *, since_s: float, until_s: float) -> tuple[Breaker, ...]:
    """Return the history of every breaker that changed within a window, or was open at its start.

    Args:
        events: from the beginning of the log: what was open before the window may be so still.
        since_s: start of the window.
        until_s: its end.
    """
    histories: dict[str, _History] = {}
    for event in events:
        if event.kind == "breaker" and event.endpoint is not None and event.at_s < until_s:
            histories.setdefault(event.endpoint, _History()).add(event, since_s)
    found = [history.figures(endpoint, until_s) for endpoint, history in histories.items()]
    shown = [breaker for breaker in found if breaker.shifts or breaker.out_s]
    return tuple(sorted(shown, key=lambda breaker: (-breaker.out_s, breaker.endpoint)))


def refusals_of(events: Iterable[Event]) -> tuple[Refusal, ...]:
    """Return how many steps could not be decided, by why."""
    counts = Counter(event.error_type or "unknown" for event in events if event.kind == "refused")
    return tuple(Refusal(error_type=kind, steps=steps) for kind, steps in counts.most_common())


class Serving:
    """Compares the models that have answered with those that were asked for."""

    def __init__(self) -> None:
        self._compared = self._unknown = 0
        self._others: Counter[tuple[str, str, str]] = Counter()

    def see(self, record: Record, pool: Pool | None) -> None:
        """Look at the calls of a record."""
        for call in record.outcome.calls:
            if call.status != "ok":
                continue
            card = None if pool is None else pool.card(call.model, call.deployment)
            same = None if card is None else same_model(card.model, call.served, provider=card.provider)
            if card is None or same is None:
                self._unknown += 1
                continue
            self._compared += 1
            if not same:
                self._others[call.model, card.model, call.served or ""] += 1

    def figures(self) -> Served:
        """Return what is reported, most frequent mismatches first."""
        mismatches = tuple(
            Mismatch(model=model, asked=asked, served=served, calls=calls)
            for (model, asked, served), calls in self._others.most_common()
        )
        return Served(compared=self._compared, unknown=self._unknown, mismatches=mismatches)
