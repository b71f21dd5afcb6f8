"""State that lives and dies with this process."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from taskrouter.state import forks
from taskrouter.state.rules import checked, fits, storable
from taskrouter.state.store import Claim, Entry, LogRecord, Report, Total

SWEEP_S = 60.0


@dataclass(slots=True)
class _Account:
    expires_at_s: float | None = None
    spent: int = 0
    held: int = 0
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def others(self, owner: str, account: str) -> Total:
        spent, held = self.parts.get(owner, (0, 0))
        count = len(self.parts) - (owner in self.parts)
        return Total(account=account, spent=self.spent - spent, held=self.held - held, owners=count)

    def write(self, owner: str, claim: Claim) -> None:
        spent, held = self.parts.get(owner, (0, 0))
        self.spent += claim.spent - spent
        self.held += claim.held - held
        self.parts[owner] = (claim.spent, claim.held)
        self.expires_at_s = claim.expires_at_s


class MemoryStore:
    """A `StateStore` in dictionaries under one lock.

    Args:
        log_records: how many records of each log are kept; the oldest go first.
        clock: seconds since the epoch.
    """

    name = "memory"
    shared = False

    def __init__(self, *, log_records: int = 10_000, clock: Callable[[], float] = time.time) -> None:
        self._log_records = log_records
        self._clock = clock
        self._lock = threading.Lock()
        self._spaces: dict[str, dict[str, Entry]] = {}
        self._accounts: dict[str, _Account] = {}
        self._logs: dict[str, deque[LogRecord]] = {}
        self._positions = itertools.count(1)
        self._sweep_at_s = clock() + SWEEP_S
        forks.watch(self)

    def put(self, space: str, entries: Mapping[str, Entry | None]) -> None:
        """Write entries of a space; None removes one."""
        storable(space, *entries, *(entry.value for entry in entries.values() if entry is not None))
        with self._lock:
            self._sweep()
            known = self._spaces.setdefault(space, {})
            known.update({name: entry for name, entry in entries.items() if entry is not None})
            for name in [name for name, entry in entries.items() if entry is None]:
                known.pop(name, None)

    def entries(self, space: str) -> Mapping[str, Entry]:
        """Return the entries of a space that have not expired."""
        now_s = self._clock()
        with self._lock:
            known = self._spaces.get(space, {})
            return {name: entry for name, entry in known.items() if _lasts(entry.expires_at_s, now_s)}

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        """Write what an owner has used, all of it or, if a limit would be broken, nothing.

        Raises:
            ValueError: a claim is negative or too large, or an account is claimed twice.
        """
        checked(owner, claims)
        with self._lock:
            self._sweep()
            found = [self._account(claim.account) for claim in claims]
            others = tuple(a.others(owner, c.account) for a, c in zip(found, claims, strict=True))
            granted = all(
                fits(claim, before=sum(account.parts.get(owner, (0, 0))), others=total.spent + total.held)
                for account, claim, total in zip(found, claims, others, strict=True)
            )
            if granted:
                for account, claim in zip(found, claims, strict=True):
                    account.write(owner, claim)
                    self._accounts[claim.account] = account
        return Report(granted=granted, others=others)

    def append(self, log: str, texts: Sequence[str]) -> None:
        """Add records to a log. They live as long as this store."""
        storable(log, *texts)
        now_s = self._clock()
        with self._lock:
            records = self._logs.setdefault(log, deque(maxlen=self._log_records))
            records.extend(LogRecord(position=f"{next(self._positions):020d}", at_s=now_s, text=t) for t in texts)

    def read(self, log: str, *, after: str | None = None, limit: int = 1000) -> Sequence[LogRecord]:
        """Return records in their order, from the first or from the one after a position."""
        with self._lock:
            records = list(self._logs.get(log, ()))
        later = (record for record in records if after is None or record.position > after)
        return tuple(itertools.islice(later, max(limit, 0)))

    def trim(self, log: str, *, keep: int | None = None, before_s: float | None = None) -> None:
        """Forget the oldest records of a log, by their number, their age or both."""
        with self._lock:
            records = self._logs.get(log, deque())
            while keep is not None and len(records) > max(keep, 0):
                records.popleft()
            while before_s is not None and records and records[0].at_s < before_s:
                records.popleft()

    def close(self) -> None:
        """Do nothing: there is nothing to write or to let go of."""

    def before_fork(self) -> None:
        """Finish what is under way."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on with a copy."""
        self._lock.release()

    def _account(self, name: str) -> _Account:
        account = self._accounts.get(name)
        if account is None or not _lasts(account.expires_at_s, self._clock()):
            return _Account()
        return account

    def _sweep(self) -> None:
        """Remove what has expired, now and then."""
        if (now_s := self._clock()) < self._sweep_at_s:
            return
        self._sweep_at_s = now_s + SWEEP_S
        self._accounts = {n: a for n, a in self._accounts.items() if _lasts(a.expires_at_s, now_s)}
        for space, known in self._spaces.items():
            self._spaces[space] = {n: e for n, e in known.items() if _lasts(e.expires_at_s, now_s)}


def _lasts(expires_at_s: float | None, now_s: float) -> bool:
    return expires_at_s is None or expires_at_s > now_s
