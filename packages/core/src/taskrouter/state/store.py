"""`StateStore`: the little that must be shared or kept, as three shapes of data.

- *Entries*: small facts with an expiry, such as an open circuit breaker. The last writer wins.
- *Accounts*: amounts under a limit, such as money. Every owner (a process) writes only its own part, as an absolute
  amount, and the limit is checked against the sum of all parts in one atomic step. So a write that is repeated changes
  nothing, and a store that lost its memory has it again as soon as the owners have reported (a grow-only counter after
  Shapiro et al., "A comprehensive study of Convergent and Commutative Replicated Data Types", INRIA RR-7506, 2011).
- *Logs*: records in the order in which they came, durable when `append` returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A small shared fact."""

    value: str = field(repr=False)
    expires_at_s: float | None = None
    """Seconds since the epoch; None: it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one owner has used of one account, as its whole amount so far, not as a difference.

    Amounts are integers in the account's smallest unit (nano-dollars, tokens, steps), so that sums are exact.
    """

    account: str
    spent: int
    """What is settled."""
    held: int = 0
    """What is reserved for calls under way."""
    limit: int | None = None
    """The sum of all owners' spent and held may not grow above this; None: no check."""
    expires_at_s: float | None = None
    """When the account is forgotten, seconds since the epoch: the end of its window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What all other owners together have used of one account."""

    account: str
    spent: int = 0
    held: int = 0
    owners: int = 0
    """How many other owners have reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer to claims."""

    granted: bool
    """Whether the claims were written: all of them, or none."""
    others: tuple[Total, ...]
    """What the others have used, one for each claim, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One record of a log."""

    position: str
    """Where it stands: opaque, ordered within its log, for `read(after=...)`."""
    at_s: float
    """When it was appended, seconds since the epoch."""
    text: str = field(repr=False)


class StateStore(Protocol):
    """Keeps entries, accounts and logs. Safe for threads; every method may block.

    All methods raise `errors.StoreUnavailable` when the store cannot be reached, within a second or two, never later.
    """

    name: str
    """`memory`, `sqlite`, `redis`: for messages; the address may hold a password."""
    shared: bool
    """Whether other processes may see the same state."""

    def put(self, space: str, entries: Mapping[str, Entry | None]) -> None:
        """Write entries of a space; None removes one."""
        ...

    def entries(self, space: str) -> Mapping[str, Entry]:
        """Return the entries of a space that have not expired."""
        ...

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        """Write what an owner has used, all of it or, if a limit would be broken, nothing.

        A claim whose amount does not grow (spent plus held, against what this owner has written before) is always
        granted: giving back is never refused.
        """
        ...

    def append(self, log: str, texts: Sequence[str]) -> None:
        """Add records to a log. When this returns they survive the end of the process."""
        ...

    def read(self, log: str, *, after: str | None = None, limit: int = 1000) -> Sequence[LogRecord]:
        """Return records in their order, from the first or from the one after a position."""
        ...

    def trim(self, log: str, *, keep: int | None = None, before_s: float | None = None) -> None:
        """Forget the oldest records of a log.

        Args:
            log: the log.
            keep: forget all but so many of the newest; None: how many there are does not matter.
            before_s: forget what was appended before this time, seconds since the epoch, up to the first record that
                is younger; None: their age does not matter.
        """
        ...

    def close(self) -> None:
        """Write what is not written and let go of files, threads and connections."""
        ...
