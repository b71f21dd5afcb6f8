"""`BudgetBook`: the budgets of one router, those of its configuration and those of `with` blocks."""

from __future__ import annotations

import hashlib
import math
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from taskrouter.budget import ledger as ledgers
from taskrouter.budget.ledger import Ledger
from taskrouter.budget.purse import Need, Purse, nano_usd
from taskrouter.budget.scope import Budget, checked_key, checked_limits, in_scope
from taskrouter.catalog.card import ModelCard
from taskrouter.config import BudgetConfig, WindowedLimits
from taskrouter.profile import TaskProfile
from taskrouter.state.store import StateStore
from taskrouter.step import StepContext

_MANY = 10_000
"""Purses that are remembered; one is made anew in microseconds, and its accounts are the ledger's."""
_IDLE_S = 7 * 86_400.0
"""How long the accounts of a run, a conversation or a key are kept after the last call."""
_SHOWN = 60
"""Characters of a name in a message."""


class Window(NamedTuple):
    """An hour, a day or a month (UTC)."""

    name: str
    until_s: float
    """Seconds since the epoch."""


class BudgetBook:
    """Knows which budgets a step draws on.

    Args:
        config: the section `[budget]`.
        store: where budgets are shared; None: they are this process's alone.
        owner: name of this process's part.
        margin: factor on the token estimate.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        config: BudgetConfig,
        store: StateStore | None,
        owner: str,
        *,
        margin: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self._clock = clock
        self.ledger = Ledger(store, owner)
        self._retired: list[Ledger] = []
        self._renewing = threading.Lock()
        self._margin = margin
        self._purses: dict[tuple[str, str, str], Purse] = {}
        self._keyed: weakref.WeakSet[Budget] = weakref.WeakSet()
        self._windows: dict[str, Window] = {}
        self._configured = bool(config.run or config.session or config.tenant or config.tenants or config.total)

    def scope(
        self,
        *,
        usd: float | None,
        tokens: int | None,
        steps: int | None,
        deadline_s: float | None,
        key: str | None,
    ) -> Budget:
        """Return a budget to enter; see `Router.budget`."""
        limits = checked_limits(usd=usd, tokens=tokens, steps=steps, deadline_s=deadline_s)
        if key is None:
            return Budget(self, "this budget", f"scope:{uuid.uuid4().hex}", limits, Ledger(), deadline_s=deadline_s)
        named, account = f"the budget {key!r:.{_SHOWN}}", f"key:{_account(checked_key(key))}"
        budget = Budget(self, named, account, limits, self.ledger, deadline_s=deadline_s, idle_s=_IDLE_S)
        self._keyed.add(budget)
        self.ledger.follow([want for _, want in budget.wants(Need(0, 0, 0))])
        self._make_room()
        return budget

    def in_force(self, context: StepContext) -> tuple[Purse, ...]:
        """Return the purses that a step draws on; mostly none."""
        scopes: tuple[Purse, ...] = in_scope(self)
        return (*self._of_configuration(context), *scopes) if self._configured else scopes

    def apart(self, name: str, limits: WindowedLimits) -> Purse:
        """Return a purse that no step draws on by itself, such as that of shadows."""
        return self._purse("apart", name, limits)

    def need(
        self,
        profile: TaskProfile,
        cards: Mapping[str, ModelCard],
        limit_tokens: Mapping[str, int] | None = None,
        *,
        answers: int = 1,
    ) -> Callable[[str], Need]:
        """Return what tells the most that a call of a model may use.

        Args:
            profile: the step's.
            cards: the pool by id.
            limit_tokens: a limit to the answer's length, by model id, where one is asked for.
            answers: how many answers the call asks for.
        """
        input_tokens = math.ceil(profile.input_tokens * self._margin)

        def need(model: str) -> Need:
            card = cards[model]
            output_tokens = (limit_tokens or {}).get(model)
            if output_tokens is None:
                output_tokens = math.ceil(profile.output_tokens * self.config.output_margin)
                output_tokens = min(output_tokens, card.max_output_tokens or output_tokens)
            output_tokens *= answers
            cost = card.cost_usd(input_tokens, output_tokens)
            return Need(None if cost is None else nano_usd(cost), input_tokens + output_tokens, 1)

        return need

    def synchronise(self) -> None:
        """Exchange what was used with the other processes.

        Raises:
            StoreUnavailable: the store cannot be reached; nothing is lost, the next call writes it.
        """
        for ledger in (*self._retired, self.ledger):
            ledger.synchronise()
        self._retired = [ledger for ledger in self._retired if ledger.busy]

    def _of_configuration(self, context: StepContext) -> list[Purse]:
        config = self.config
        tenant = context.tenant
        asked = (
            ("total", "", config.total),
            ("tenant", tenant, config.tenants.get(tenant or "", config.tenant)),
            ("session", context.session_id, config.session),
            ("run", context.run_id, config.run),
        )
        return [
            self._purse(kind, name, limits) for kind, name, limits in asked if limits is not None and name is not None
        ]

    def _purse(self, kind: str, name: str, limits: WindowedLimits) -> Purse:
        window = self._window(limits.every, self._clock())
        purse = self._purses.get((kind, name, window.name))
        if purse is None or purse.ledger is not self.ledger:
            self._make_room()
            purse = self._purses[kind, name, window.name] = self._new_purse(kind, name, limits, window)
        return purse

    def _new_purse(self, kind: str, name: str, limits: WindowedLimits, window: Window) -> Purse:
        said = {
            "total": "the total budget",
            "tenant": f"the budget of tenant {name!r:.{_SHOWN}}",
            "apart": f"the budget of {name}",
        }
        key = f"{kind}:{_account(name)}:{window.name}"
        # Calls that began within a window are settled after it.
        ends_at_s = window.until_s + 3600.0 if window.name else None
        idle_s = _IDLE_S if kind in ("run", "session") and not window.name else None
        return Purse(
            said.get(kind, f"this {kind}'s budget"), key, limits, self.ledger, ends_at_s=ends_at_s, idle_s=idle_s
        )

    def _window(self, every: str | None, now_s: float) -> Window:
        if every is None:
            return _ENDLESS
        window = self._windows.get(every)
        if window is None or not window.until_s - _LENGTH_S[every] <= now_s < window.until_s:
            window = self._windows[every] = window_of(every, now_s)
        return window

    def _make_room(self) -> None:
        """Keep the memory that runs and conversations take within bounds, however many there have been."""
        if len(self._purses) >= _MANY:
            self._purses = {}
        if not self.ledger.shared or len(self.ledger) < ledgers.MOST or not self._renewing.acquire(blocking=False):
            return
        try:
            heir = self.ledger.successor()
            self._retired = [*self._retired, self.ledger]
            self.ledger, self._purses = heir, {}
            for budget in list(self._keyed):
                budget.ledger = heir
                heir.follow([want for _, want in budget.wants(Need(0, 0, 0))])
        finally:
            self._renewing.release()


_ENDLESS = Window("", math.inf)
_LENGTH_S = {"hour": 3600.0, "day": 86_400.0, "month": 28 * 86_400.0}
"""At least so long is a window; a clock that was set back further is looked at anew."""


def window_of(every: str, now_s: float) -> Window:
    """Return the hour, day or month (UTC) that a time lies in, seconds since the epoch."""
    now = datetime.fromtimestamp(now_s, UTC)
    match every:
        case "hour":
            start = now.replace(minute=0, second=0, microsecond=0)
            return Window(start.strftime("%Y-%m-%dT%H"), (start + timedelta(hours=1)).timestamp())
        case "day":
            start = now.replace(hour=0, minute=0, second=0, microsecond=0)
            return Window(start.strftime("%Y-%m-%d"), (start + timedelta(days=1)).timestamp())
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + timedelta(days=32)).replace(day=1)
    return Window(start.strftime("%Y-%m"), end.timestamp())


def _account(name: str) -> str:
    """Return a name that every store takes: a long one, or one with odd characters, by its digest."""
    if len(name) <= 200 and name.isprintable():
        return name
    return "sha256-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
