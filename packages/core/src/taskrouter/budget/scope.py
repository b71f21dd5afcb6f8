"""`Budget`: a purse that holds for everything inside a `with` block, whichever task or branch of it makes the call."""

from __future__ import annotations

import math
import numbers
import time
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, Self

from taskrouter.budget.ledger import Ledger
from taskrouter.budget.purse import NANO, QUANTITIES, Purse
from taskrouter.config import Limits, validated
from taskrouter.errors import ConfigurationError

_SCOPES: ContextVar[tuple[Budget, ...]] = ContextVar("taskrouter_budgets", default=())


class Budget(Purse):
    """What the steps inside a `with` block may use together; made by `Router.budget`.

    It can be entered with `with` and `async with`, inside another one (then both hold), and again later: what was used
    stays used, and a deadline counts from the first time. Tasks and threads that carry the context on (asyncio does,
    `contextvars.copy_context().run` does) draw on it too.
    """

    def __init__(
        self,
        owner: object,
        name: str,
        key: str,
        limits: Limits | None,
        ledger: Ledger,
        *,
        deadline_s: float | None = None,
        idle_s: float | None = None,
    ) -> None:
        super().__init__(name, key, limits, ledger, idle_s=idle_s, counts=QUANTITIES)
        self.owner = owner
        self.deadline_s = deadline_s

    @property
    def limit_usd(self) -> float | None:
        """US dollars that it allows; None: no limit."""
        limit = self.limit("usd")
        return None if limit is None else limit / NANO

    @property
    def spent_usd(self) -> float:
        """US dollars spent, as far as prices are known."""
        return self.used("usd")[0] / NANO

    @property
    def held_usd(self) -> float:
        """US dollars set aside for calls under way."""
        return self.used("usd")[1] / NANO

    @property
    def remaining_usd(self) -> float | None:
        """US dollars neither spent nor set aside, never below zero; None: no limit."""
        left = self.left("usd")
        return None if left is None else max(0, left) / NANO

    @property
    def spent_tokens(self) -> int:
        """Tokens used, in and out."""
        return self.used("tokens")[0]

    @property
    def steps_taken(self) -> int:
        """Steps made or under way."""
        return sum(self.used("steps"))

    def __enter__(self) -> Self:
        if self.deadline_s is not None and self.deadline_at_s is None:
            self.deadline_at_s = time.monotonic() + self.deadline_s
        _SCOPES.set((*_SCOPES.get(), self))
        return self

    def __exit__(self, *_: object) -> None:
        # Not by a token: a block may end in another context than it began in (fixtures, generators).
        scopes = list(_SCOPES.get())
        if self in scopes:
            scopes.reverse()
            scopes.remove(self)
            scopes.reverse()
        _SCOPES.set(tuple(scopes))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def __repr__(self) -> str:
        limit = "" if self.limit_usd is None else f" of ${self.limit_usd:g}"
        return f"Budget({self.name}: ${self.spent_usd:.6f}{limit} spent, {self.steps_taken} steps)"


def in_scope(owner: object) -> tuple[Budget, ...]:
    """Return the budgets of an owner that hold here, outermost first."""
    scopes = _SCOPES.get()
    if not scopes or (len(scopes) == 1 and scopes[0].owner is owner):
        return scopes
    return tuple(dict.fromkeys(scope for scope in scopes if scope.owner is owner))


def checked_limits(
    *, usd: float | None, tokens: int | None, steps: int | None, deadline_s: float | None
) -> Limits | None:
    """Return what was asked for as limits.

    Raises:
        ConfigurationError: nothing is limited, or a limit is not a number above zero.
    """
    asked: dict[str, Any] = {"usd": usd, "tokens": tokens, "steps": steps, "deadline_s": deadline_s}
    given = {name: value for name, value in asked.items() if value is not None}
    if not given:
        raise ConfigurationError("budget() limits nothing: give at least one of usd, tokens, steps, deadline_s")
    for name, value in given.items():
        whole = name in ("tokens", "steps")
        if not _is_number(value, whole=whole):
            what = "a whole number" if whole else "a number"
            raise ConfigurationError(f"budget({name}={value!r:.40}): it must be {what} above zero")
    limits = {name: float(value) if name == "usd" else int(value) for name, value in given.items()}
    limits.pop("deadline_s", None)
    return validated(Limits, limits, where="budget()") if limits else None


def checked_key(key: str) -> str:
    """Return a key.

    Raises:
        ConfigurationError: it is not text, or empty.
    """
    if not isinstance(key, str) or not key:
        raise ConfigurationError(f"budget(key={key!r:.40}): it must be text, such as the name of a job")
    return key


def _is_number(value: Any, *, whole: bool) -> bool:
    # Numbers of NumPy are none of Python's classes, and true and false are.
    numeric = isinstance(value, numbers.Integral if whole else numbers.Real | Decimal)
    if not numeric or isinstance(value, bool):
        return False
    try:
        return 0 < float(value) < math.inf
    except (OverflowError, ValueError):  # a number beyond all floats; a signalling NaN
        return False
