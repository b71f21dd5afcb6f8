"""The purses that one step draws on, as the engine sees them: all or none are charged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from taskrouter.budget.ledger import Hold, Ledger, Shortage, Want
from taskrouter.budget.purse import Need, Purse, Quantity, nano_usd, shortage_of
from taskrouter.errors import BudgetExceededError
from taskrouter.outcome import Attempt
from taskrouter.ports import Refusal


class Part(NamedTuple):
    """What was set aside in one ledger."""

    ledger: Ledger
    hold: Hold
    quantities: tuple[Quantity, ...]
    """Of each amount."""


class Reservation(NamedTuple):
    """What was set aside for one call."""

    need: Need
    parts: tuple[Part, ...]


class StepWallet:
    """See `ports.Wallet`.

    Args:
        purses: the budgets in force; at least one.
        need: the most that a call of a model may use.
        wait_s: how long a call may wait for money that others hold.
    """

    def __init__(self, purses: Sequence[Purse], need: Callable[[str], Need], *, wait_s: float) -> None:
        self._purses = purses
        self._need = need
        self.wait_s = wait_s
        self.blocking = any(purse.ledger.shared for purse in purses)
        self.deadline_at_s = min((p.deadline_at_s for p in purses if p.deadline_at_s is not None), default=None)
        self._priced = next((purse for purse in purses if purse.refuses_unpriced()), None)
        self._counted = False
        # Those of this process first: they are free to give back when a shared one does not reach.
        ledgers = sorted(dict.fromkeys(purse.ledger for purse in purses), key=lambda ledger: ledger.shared)
        self._by_ledger = [(ledger, [p for p in purses if p.ledger is ledger]) for ledger in ledgers]

    def reserve(self, model: str) -> Reservation | Refusal:
        """Set aside what a call may use in every purse, or in none."""
        need = self._need(model)
        if self._counted:
            need = need._replace(steps=0)
        if need.usd is None and self._priced is not None:
            return Refusal(self._priced.unpriced(model), may_pass=False)
        parts: list[Part] = []
        complete = False
        try:
            for ledger, purses in self._by_ledger:
                quantities, wants = _together(purses, need)
                hold = ledger.reserve(wants)
                if isinstance(hold, Shortage):
                    return Refusal(shortage_of(purses, hold, model), hold.may_pass and self._may_fit(need))
                parts.append(Part(ledger, hold, quantities))
            complete = self._counted = True
            return Reservation(need, tuple(parts))
        finally:
            if not complete:
                _release(parts)

    def _may_fit(self, need: Need) -> bool:
        """Tell whether a call would fit everywhere if nothing of what is held were spent."""
        looks = (look for purse in self._purses for look in purse.looks())
        return all(need.of(look.quantity) <= look.left_in_the_end for look in looks)

    def settle(self, reservation: object, attempt: Attempt) -> None:
        """Book what a call has cost in place of what was set aside."""
        if not isinstance(reservation, Reservation):
            return
        need = reservation.need
        # Without a price only purses that have no limit of money are here: they count what they know.
        usd = need.usd or 0 if attempt.cost_usd is None else nano_usd(attempt.cost_usd)
        tokens = attempt.usage.input_tokens + attempt.usage.output_tokens if attempt.usage else 0
        spent = Need(usd, tokens, need.steps)
        for ledger, hold, quantities in reservation.parts:
            ledger.settle(hold, [spent.of(quantity) for quantity in quantities])

    def give_back(self, reservation: object) -> None:
        """Release what was set aside for a call that was never made."""
        if isinstance(reservation, Reservation):
            self._counted = self._counted and not reservation.need.steps
            _release(reservation.parts)

    def overdue(self) -> BudgetExceededError:
        """Say that the deadline has passed."""
        return min(
            (purse for purse in self._purses if purse.deadline_at_s is not None),
            key=lambda purse: purse.deadline_at_s or 0.0,
        ).overdue()


def _together(purses: Sequence[Purse], need: Need) -> tuple[tuple[Quantity, ...], list[Want]]:
    """Return what to set aside in one ledger. Purses of one key have the same accounts: the lower limit holds."""
    found: dict[str, tuple[Quantity, Want]] = {}
    for purse in purses:
        for quantity, want in purse.wants(need):
            _, other = found.get(want.account, (quantity, want))
            found[want.account] = quantity, other if _limit(other) < _limit(want) else want
    return tuple(quantity for quantity, _ in found.values()), [want for _, want in found.values()]


def _limit(want: Want) -> float:
    return float("inf") if want.limit is None else want.limit


def _release(parts: Sequence[Part]) -> None:
    for ledger, hold, quantities in parts:
        ledger.settle(hold, [0] * len(quantities))
