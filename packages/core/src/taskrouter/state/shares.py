"""What this process has used of every account, and what it may use of it while the store is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from taskrouter.state.rules import checked
from taskrouter.state.store import Claim, Report, StateStore, Total

AT_ONCE = 500
SWEEP_S = 60.0


@dataclass(slots=True, kw_only=True)
class _Part:
    """One owner's part of one account."""

    others: Total
    """As the store last told."""
    peers: int
    """How many others may be spending from the account at the same time."""
    granted: int = 0
    """Own amount as the store last granted it."""
    latest: Claim | None = None
    """What was granted last, by the store or here."""
    reported: bool = True
    limit: int | None = None
    """The limit that was checked last."""

    def most(self, limit: int) -> int:
        """Return how much of a limit this owner may use without the store."""
        left = limit - self.granted - self.others.spent - self.others.held
        return self.granted + max(0, left) // (self.peers + 1)


class Shares:
    """Remembers claims and what the store answered; decides about claims without it.

    While the store is away, what was left of a limit when it was last seen is divided by the number of owners then:
    every process may spend its share, so that together they keep the limit. Of an account that was never seen, nothing
    is known to be spent, and the number of owners is taken to be the largest that was seen on any account.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._parts: dict[tuple[str, str], _Part] = {}
        self._sweep_at_s = clock() + SWEEP_S

    def note(self, owner: str, claims: Sequence[Claim], report: Report) -> None:
        """Remember what the store has answered."""
        with self._lock:
            self._sweep()
            for claim, total in zip(claims, report.others, strict=True):
                part = self._parts.setdefault((owner, claim.account), _Part(others=total, peers=total.owners))
                part.others, part.peers, part.limit = total, total.owners, _limit(claim, part)
                if report.granted:
                    part.granted, part.latest, part.reported = _amount(claim), claim, True

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        """Decide without the store.

        Raises:
            ValueError: a claim is negative or too large, or an account is claimed twice.
        """
        checked(owner, claims)
        with self._lock:
            self._sweep()
            parts = [self._part(owner, claim.account) for claim in claims]
            granted = all(_fits(claim, part) for claim, part in zip(claims, parts, strict=True))
            if granted:
                for claim, part in zip(claims, parts, strict=True):
                    part.latest, part.reported, part.limit = claim, False, _limit(claim, part)
                    self._parts[owner, claim.account] = part
        return Report(granted=granted, others=tuple(part.others for part in parts))

    def forgotten(self, owner: str, claims: Sequence[Claim], report: Report) -> bool:
        """Tell whether a store knows of fewer owners than it did: it has lost its memory, and not all have told it.

        Accounts that end soon are not asked: the store may have forgotten them in its own time.
        """
        soon_s = self._clock() + SWEEP_S
        with self._lock:
            parts = [self._parts.get((owner, claim.account)) for claim in claims]
            return any(
                part is not None and part.latest is not None and total.owners < part.peers and _lasts(part, soon_s)
                for part, total in zip(parts, report.others, strict=True)
            )

    def announce(self, store: StateStore) -> None:
        """Tell a store that has come back what was used, and hold there what else may be used without it.

        So others who ask it before this process does leave this process its share.
        """
        for owner, claims in self._due(everything=True):
            store.claim(owner, [self._at_most(owner, claim) for claim in claims])

    def _at_most(self, owner: str, claim: Claim) -> Claim:
        with self._lock:
            part = self._parts.get((owner, claim.account))
            most = 0 if part is None or part.limit is None else part.most(part.limit)
        return replace(claim, limit=None, held=max(claim.held, most - claim.spent))

    def report(self, store: StateStore, *, everything: bool) -> int:
        """Tell a store what was used, and return of how many accounts.

        It is told without a limit: what is spent is spent. When a store has lost its memory, this is how it comes back.

        Args:
            store: the store.
            everything: also what it has been told already.
        """
        told = 0
        for owner, claims in self._due(everything=everything):
            facts = [replace(claim, limit=None) for claim in claims]
            answer = store.claim(owner, facts)
            self._told(owner, claims, answer)
            told += len(claims)
        return told

    def _due(self, *, everything: bool) -> Iterator[tuple[str, list[Claim]]]:
        by_owner: dict[str, list[Claim]] = {}
        with self._lock:
            self._sweep(now=True)
            for (owner, _), part in self._parts.items():
                if part.latest is not None and (everything or not part.reported):
                    by_owner.setdefault(owner, []).append(part.latest)
        for owner, claims in by_owner.items():
            for at in range(0, len(claims), AT_ONCE):
                yield owner, claims[at : at + AT_ONCE]

    def _told(self, owner: str, claims: Sequence[Claim], answer: Report) -> None:
        with self._lock:
            for claim, total in zip(claims, answer.others, strict=True):
                part = self._parts.get((owner, claim.account))
                if part is not None:
                    part.others, part.peers, part.granted = total, total.owners, _amount(claim)
                    part.reported = part.latest is claim  # or it was claimed again in the meantime

    def _part(self, owner: str, account: str) -> _Part:
        known = self._parts.get((owner, account))
        if known is not None and _lasts(known, self._clock()):
            return known
        peers = max((part.peers for part in self._parts.values()), default=0)
        return _Part(others=Total(account=account), peers=peers)

    def _sweep(self, *, now: bool = False) -> None:
        """Forget accounts whose window is over."""
        now_s = self._clock()
        if now or now_s >= self._sweep_at_s:
            self._sweep_at_s = now_s + SWEEP_S
            self._parts = {key: part for key, part in self._parts.items() if _lasts(part, now_s)}


def _fits(claim: Claim, part: _Part) -> bool:
    before = 0 if part.latest is None else _amount(part.latest)
    if claim.limit is None or _amount(claim) <= before:
        return True
    return _amount(claim) <= part.most(claim.limit)


def _limit(claim: Claim, part: _Part) -> int | None:
    return part.limit if claim.limit is None else claim.limit


def _amount(claim: Claim) -> int:
    return claim.spent + claim.held


def _lasts(part: _Part, now_s: float) -> bool:
    return part.latest is None or part.latest.expires_at_s is None or part.latest.expires_at_s > now_s
