"""A purse: one budget as steps draw on it, whatever it is for and wherever its accounts are kept."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from taskrouter.budget.ledger import Ledger, Shortage, Want
from taskrouter.config import Limits
from taskrouter.errors import BudgetExceededError

NANO = 1_000_000_000
"""Nano-dollars in a dollar."""

Quantity: TypeAlias = Literal["usd", "tokens", "steps"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


def nano_usd(usd: float) -> int:
    """Return US dollars as whole nano-dollars, rounded up."""
    return math.ceil(usd * NANO - 1e-6)


class Need(NamedTuple):
    """The most that one call may use."""

    usd: int | None
    """Nano-dollars; None: the price is unknown."""
    tokens: int
    steps: int

    def of(self, quantity: Quantity) -> int:
        """Return the amount of a quantity; an unknown price has none."""
        return self.usd or 0 if quantity == "usd" else self.tokens if quantity == "tokens" else self.steps


class Look(NamedTuple):
    """What a purse has left of one quantity that it limits."""

    quantity: Quantity
    left: int
    """Neither spent nor held."""
    left_in_the_end: int
    """Not spent: what may be left once the calls under way are settled."""


class Purse:
    """The limits of one budget and its accounts.

    Args:
        name: how messages call it, such as `tenant 'acme'`.
        key: the accounts' name in the ledger.
        limits: what may be used.
        ledger: where the accounts are.
        ends_at_s: when the accounts may be forgotten, seconds since the epoch.
        idle_s: or after how many seconds without a call.
        counts: quantities that are counted although they have no limit.
    """

    deadline_s: float | None = None
    """Seconds from its beginning in which everything must be over."""
    deadline_at_s: float | None = None
    """The same as a time on the monotonic clock, once it has begun."""

    def __init__(
        self,
        name: str,
        key: str,
        limits: Limits | None,
        ledger: Ledger,
        *,
        ends_at_s: float | None = None,
        idle_s: float | None = None,
        counts: Sequence[Quantity] = ("usd",),
    ) -> None:
        self.name = name
        self.ledger = ledger
        self._limits: dict[Quantity, int | None] = {
            "usd": None if limits is None or limits.usd is None else max(1, round(limits.usd * NANO)),
            "tokens": None if limits is None else limits.tokens,
            "steps": None if limits is None else limits.steps,
        }
        self._accounts: dict[Quantity, str] = {
            quantity: f"{key}:{quantity}"
            for quantity in QUANTITIES
            if self._limits[quantity] is not None or quantity in counts
        }
        self._ends_at_s = ends_at_s
        self._idle_s = idle_s

    def limit(self, quantity: Quantity) -> int | None:
        """Return the limit of `usd` (nano-dollars), `tokens` or `steps`; None: there is none."""
        return self._limits[quantity]

    def used(self, quantity: Quantity) -> tuple[int, int]:
        """Return what has been spent and what is held, of `usd` (nano-dollars), `tokens` or `steps`."""
        return self.ledger.used(self._accounts[quantity])

    def left(self, quantity: Quantity) -> int | None:
        """Return what is neither spent nor held; None: there is no limit."""
        limit = self._limits[quantity]
        return None if limit is None else limit - sum(self.used(quantity))

    def share_used(self, quantity: Quantity) -> float:
        """Return the used part of a limit, from 0; 0 without one."""
        limit = self._limits[quantity]
        return 0.0 if limit is None else sum(self.used(quantity)) / limit

    def looks(self) -> list[Look]:
        """Return what is left of everything that has a limit, by what was last seen."""
        looks = []
        for quantity, limit in self._limits.items():
            if limit is not None:
                spent, held = self.used(quantity)
                looks.append(Look(quantity, limit - spent - held, limit - spent))
        return looks

    def refuses_unpriced(self) -> bool:
        """Tell whether a call without a known price cannot be paid from here."""
        return self._limits["usd"] is not None

    def wants(self, need: Need) -> list[tuple[Quantity, Want]]:
        """Return what a call would set aside here."""
        expires_at_s = self._ends_at_s if self._idle_s is None else time.time() + self._idle_s
        return [
            (quantity, Want(account, need.of(quantity), self._limits[quantity], expires_at_s, self._idle_s is not None))
            for quantity, account in self._accounts.items()
        ]

    def time_left_s(self) -> float | None:
        """Return the seconds until the deadline; None: there is none."""
        return None if self.deadline_at_s is None else self.deadline_at_s - time.monotonic()

    def exceeded(
        self, quantity: Quantity, amount: int, model: str, shortage: Shortage | None = None
    ) -> BudgetExceededError:
        """Say that a call does not fit; `shortage` has the amounts that decided it."""
        spent, held = self.used(quantity) if shortage is None else (shortage.used, shortage.held)
        limit = self._limits[quantity] or 0
        left, of = max(0, limit - spent - held), _said(quantity, limit)
        has = f"{_said(quantity, left)} of {of}" if quantity == "usd" else f"{left:,} of {of}"
        reserved = f" and {_said(quantity, held)} reserved for calls under way" if held else ""
        upto = "" if quantity == "steps" else f", and a call of {model!r} may need {_said(quantity, amount)}"
        advice = f"raise `{quantity}`, or end here"
        if shortage is not None and shortage.shared_out:
            upto += "; while the shared state is away, this process may use only its share of what was left"
            advice = "try again later, or end here"
        return self._error(
            quantity, f"{self.name} has {has} left ({_said(quantity, spent)} spent{reserved}){upto}; {advice}"
        )

    def unpriced(self, model: str) -> BudgetExceededError:
        """Say that a model without a known price cannot be paid from a purse of money."""
        return self._error(
            "usd",
            f"{self.name} is in US dollars, and the price of {model!r} is unknown: set input_usd_per_million and "
            "output_usd_per_million in its card",
        )

    def overdue(self) -> BudgetExceededError:
        """Say that the deadline has passed."""
        return self._error("deadline", f"the deadline of {self.name} has passed; raise `deadline_s`, or end here")

    def _error(self, quantity: str, message: str) -> BudgetExceededError:
        limit = self._limits["usd"]
        return BudgetExceededError(
            message,
            spent_usd=self.used("usd")[0] / NANO,
            limit_usd=math.inf if limit is None else limit / NANO,
            limit=quantity,
            budget=self.name,
        )


def shortage_of(purses: Sequence[Purse], shortage: Shortage, model: str) -> BudgetExceededError:
    """Say which purse does not reach."""
    want = shortage.want
    for purse in purses:
        for quantity, other in purse.wants(Need(0, 0, 0)):
            if (other.account, other.limit) == (want.account, want.limit):
                return purse.exceeded(quantity, want.amount, model, shortage)
    raise AssertionError("a shortage of no purse")


def _said(quantity: str, amount: int) -> str:
    if quantity == "usd":
        return f"${amount // NANO:,}.{amount % NANO:09d}".rstrip("0").rstrip(".")
    return f"{amount:,} {quantity}"
