"""This process's part of the accounts: what it has spent and holds, and what the others were last seen to have used.

Amounts are integers (nano-dollars, tokens, steps), so sums are exact. With a shared store every reservation is checked
against all processes in one atomic step; settling never waits: it is written with the next reservation or in the
background. A process that is killed leaves what it held as used, so a limit is never exceeded for its death.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from taskrouter.state import forks
from taskrouter.state.store import Claim, StateStore, Total

MOST = 100_000
"""Accounts that are kept in memory, at a few hundred bytes each."""
AT_ONCE = 500
"""Accounts that are exchanged with the store in one step."""
REMEMBERED = 1_000
"""Accounts of which a successor knows from the start what was used."""


class Want(NamedTuple):
    """An amount to set aside in one account."""

    account: str
    amount: int
    limit: int | None
    """None: the amount is only counted."""
    expires_at_s: float | None
    """When the account may be forgotten, seconds since the epoch; None: never."""
    fleeting: bool = False
    """Whether it is one of very many, such as a run's: the one that was used longest ago goes when there are too many.
    """


class Shortage(NamedTuple):
    """The account that does not reach."""

    want: Want
    used: int
    """Settled, by everybody."""
    held: int
    """Reserved for calls under way, by everybody."""
    shared_out: bool = False
    """Whether it would reach, if the store were not away: this process may use only its share of what was left."""

    @property
    def may_pass(self) -> bool:
        """Whether it would fit if nothing of what is held were spent."""
        limit = self.want.limit
        return limit is None or self.used + self.want.amount <= limit


class Hold:
    """Amounts that are set aside, until they are settled, once."""

    __slots__ = ("life", "open", "wants")

    def __init__(self, wants: Sequence[Want], life: int) -> None:
        self.wants = wants
        self.life = life
        """Which life of its ledger it belongs to: a fork begins another one."""
        self.open = True


@dataclass(slots=True)
class _Own:
    spent: int = 0
    held: int = 0
    expires_at_s: float | None = None
    fleeting: bool = False


class Ledger:
    """The accounts that one process draws on.

    Args:
        store: where the accounts are shared; None: they are this process's alone.
        owner: name of this process's part; no other process, now or later, has the same.
    """

    def __init__(self, store: StateStore | None = None, owner: str = "local") -> None:
        self._store = store
        self._owner = owner
        self._own: dict[str, _Own] = {}
        """In the order of their last use."""
        self._others: dict[str, Total] = {}
        self._fresh: set[str] = set()
        """Accounts that were used since the last exchange."""
        self._rota: list[str] = []
        """Accounts whose turn to be exchanged will come although they are not used."""
        self._most = MOST
        self._life = 0
        # It may be taken twice: a stream that nobody holds any more ends wherever its garbage is collected.
        self._lock = threading.RLock()
        self._one_at_a_time = threading.Lock()
        forks.watch(self)

    def before_fork(self) -> None:
        """Come to rest."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew. What the parent has spent still counts; its calls that are under way are its own to settle."""
        self._lock = threading.RLock()
        self._one_at_a_time = threading.Lock()
        self._life += 1
        self._fresh, self._rota = set(), []
        if self._store is None:
            for own in self._own.values():
                own.held = 0
            return
        self._owner = successor_of(self._owner)
        for account, own in self._own.items():
            spent, held = self._used(account)
            self._others[account] = Total(account=account, spent=spent, held=held, owners=self._owners(account) + 1)
            own.spent = own.held = 0

    def __len__(self) -> int:
        """Return the number of accounts."""
        return len(self._own)

    @property
    def shared(self) -> bool:
        """Whether reserving takes a round trip."""
        return self._store is not None

    @property
    def busy(self) -> bool:
        """Whether calls are under way, or something is not written."""
        with self._lock:
            return bool(self._fresh) or any(own.held for own in self._own.values())

    def reserve(self, wants: Sequence[Want]) -> Hold | Shortage:
        """Set all amounts aside, or none; return what does not reach."""
        if self._store is None:
            with self._lock:
                shortage = next(filter(None, map(self._shortage, wants)), None)
                return shortage or self._held(wants)
        with self._one_at_a_time:  # absolute amounts must reach the store in the order in which they came about
            return self._reserve_shared(self._store, wants)

    def settle(self, hold: Hold, spent: Sequence[int]) -> None:
        """Book what was spent in place of what was set aside. Never waits for the store."""
        with self._lock:
            if not hold.open or hold.life != self._life:
                return
            hold.open = False
            for want, amount in zip(hold.wants, spent, strict=True):
                own = self._own[want.account]
                own.held -= want.amount
                own.spent += amount
                if self._store is not None:
                    self._fresh.add(want.account)

    def used(self, account: str) -> tuple[int, int]:
        """Return what everybody has spent and holds, as last seen."""
        with self._lock:
            return self._used(account)

    def follow(self, wants: Iterable[Want]) -> None:
        """Learn of accounts before they are used here."""
        with self._lock:
            self._hold([want._replace(amount=0) for want in wants], 1)

    def synchronise(self) -> None:
        """Write what was settled and read what the others have used.

        Accounts that were used since the last time come first. Others follow in turn, so that a store that has lost its
        memory hears of them again.

        Raises:
            StoreUnavailable: the store cannot be reached; nothing is lost, the next call writes it.
        """
        if self._store is None:
            return
        with self._lock:
            fresh, self._fresh = list(self._fresh), set()
            if not self._rota:
                self._rota = list(self._own)
            room = max(0, AT_ONCE - len(fresh))
            in_turn, self._rota = self._rota[:room], self._rota[room:]
        names = list(dict.fromkeys([*fresh, *in_turn]))
        for at in range(0, len(names), AT_ONCE):
            try:
                self._exchange(self._store, names[at : at + AT_ONCE])
            except BaseException:  # an interruption too: what was not written must be written next time
                with self._lock:
                    self._fresh.update(fresh)
                raise

    def successor(self) -> Ledger:
        """Return an empty ledger of another owner, which knows what was used of the accounts that were used last.

        That forgets accounts without taking anything back: in the store they stay this owner's.
        """
        heir = Ledger(self._store, successor_of(self._owner))
        with self._lock:
            for account in itertools.islice(reversed(self._own), REMEMBERED):
                spent, held = self._used(account)
                heir._others[account] = Total(account=account, spent=spent, held=held, owners=self._owners(account) + 1)
        return heir

    def _reserve_shared(self, store: StateStore, wants: Sequence[Want]) -> Hold | Shortage:
        with self._lock:
            hold = self._held(wants)
            claims = [self._claim(want.account, want.limit) for want in wants]
        granted = False
        try:
            report = store.claim(self._owner, claims)
            granted = report.granted
        finally:
            if not granted:
                with self._lock:
                    self._hold(wants, -1)
        with self._lock:
            others = self._learn(report.others)
        shortage = _lacking(wants, claims, others)
        if granted and shortage is None:
            return hold
        if granted:  # by a store that has forgotten what others have spent
            self.settle(hold, [0] * len(wants))
        return shortage or _shared_out(wants, claims, others)

    def _exchange(self, store: StateStore, accounts: Sequence[str]) -> None:
        with self._one_at_a_time:
            now_s = time.time()
            with self._lock:
                known = [name for name in accounts if name in self._own and _lasts(self._own[name], now_s)]
                claims = [self._claim(name, limit=None) for name in known]
            if claims:
                report = store.claim(self._owner, claims)
                with self._lock:
                    self._learn(report.others)

    def _learn(self, totals: Sequence[Total]) -> list[Total]:
        """Note what the others have used. What they have spent does not become less, whatever a store remembers."""
        learnt = []
        for total in totals:
            known = self._others.get(total.account)
            if known is not None and known.spent > total.spent:
                total = replace(total, spent=known.spent)  # noqa: PLW2901 - the same, with what is known
            self._others[total.account] = total
            learnt.append(total)
        return learnt

    def _claim(self, account: str, limit: int | None) -> Claim:
        own = self._own[account]
        return Claim(account=account, spent=own.spent, held=own.held, limit=limit, expires_at_s=own.expires_at_s)

    def _held(self, wants: Sequence[Want]) -> Hold:
        self._hold(wants, 1)
        return Hold(wants, self._life)

    def _hold(self, wants: Iterable[Want], sign: int) -> None:
        for want in wants:
            own = self._own.pop(want.account, None) or _Own()
            self._own[want.account] = own  # at the end: used last
            own.expires_at_s, own.fleeting = want.expires_at_s, want.fleeting
            own.held += sign * want.amount
            if self._store is not None:
                self._fresh.add(want.account)
        if self._store is None and len(self._own) > self._most:
            self._make_room()

    def _make_room(self) -> None:
        """Forget, of accounts that nobody else knows, those whose time is over and then those used longest ago."""
        now_s = time.time()
        idle = [name for name, own in self._own.items() if not own.held]
        over = [name for name in idle if not _lasts(self._own[name], now_s)]
        fleeting = [name for name in idle if self._own[name].fleeting]
        gone = list(dict.fromkeys([*over, *fleeting]))[: MOST // 10]
        for name in gone:
            del self._own[name]
        self._most = MOST if gone else len(self._own) + MOST // 10  # it is not worth looking again at once

    def _used(self, account: str) -> tuple[int, int]:
        own, others = self._own.get(account), self._others.get(account)
        spent = (own.spent if own else 0) + (others.spent if others else 0)
        return spent, (own.held if own else 0) + (others.held if others else 0)

    def _owners(self, account: str) -> int:
        others = self._others.get(account)
        return others.owners if others else 0

    def _shortage(self, want: Want) -> Shortage | None:
        if want.limit is None:
            return None
        used, held = self._used(want.account)
        return Shortage(want, used, held) if used + held + want.amount > want.limit else None


def successor_of(owner: str) -> str:
    """Return the name of an owner that has not been before, in this process or as its fork."""
    return f"{owner.partition('.')[0]}.{os.getpid()}-{secrets.token_hex(6)}"


def _lasts(own: _Own, now_s: float) -> bool:
    return own.expires_at_s is None or own.expires_at_s > now_s


def _lacking(wants: Sequence[Want], claims: Sequence[Claim], others: Sequence[Total]) -> Shortage | None:
    """Return the account that does not reach for what was claimed, by what the others have used."""
    for shortage in _as_claimed(wants, claims, others):
        if shortage.used + shortage.held + shortage.want.amount > (shortage.want.limit or 0):
            return shortage
    return None


def _shared_out(wants: Sequence[Want], claims: Sequence[Claim], others: Sequence[Total]) -> Shortage:
    """By what is known all accounts reach: the store is away, and what may be used without it is used up."""
    tightest = min(
        _as_claimed(wants, claims, others),
        key=lambda shortage: (shortage.want.limit or 0) - shortage.used - shortage.held,
    )
    return tightest._replace(shared_out=True)


def _as_claimed(wants: Sequence[Want], claims: Sequence[Claim], others: Sequence[Total]) -> list[Shortage]:
    """Return what is used of the accounts that have a limit."""
    return [
        Shortage(want, claim.spent + total.spent, claim.held - want.amount + total.held)
        for want, claim, total in zip(wants, claims, others, strict=True)
        if want.limit is not None
    ]
