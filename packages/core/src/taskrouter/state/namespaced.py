"""Several states in one store: every name gets the namespace in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from taskrouter.state.store import Claim, Entry, LogRecord, Report, StateStore


class NamespacedStore:
    """A `StateStore` inside another one.

    Args:
        store: where everything is kept.
        namespace: which state this is; states of other names do not see it.
    """

    def __init__(self, store: StateStore, namespace: str) -> None:
        self.name = store.name
        self.shared = store.shared
        self._store = store
        self._prefix = f"{namespace}/"

    def put(self, space: str, entries: Mapping[str, Entry | None]) -> None:
        """Write entries of a space; None removes one."""
        self._store.put(self._prefix + space, entries)

    def entries(self, space: str) -> Mapping[str, Entry]:
        """Return the entries of a space that have not expired."""
        return self._store.entries(self._prefix + space)

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        """Write what an owner has used, all of it or, if a limit would be broken, nothing."""
        report = self._store.claim(owner, [replace(claim, account=self._prefix + claim.account) for claim in claims])
        others = (replace(total, account=total.account.removeprefix(self._prefix)) for total in report.others)
        return replace(report, others=tuple(others))

    def append(self, log: str, texts: Sequence[str]) -> None:
        """Add records to a log. When this returns they survive the end of the process."""
        self._store.append(self._prefix + log, texts)

    def read(self, log: str, *, after: str | None = None, limit: int = 1000) -> Sequence[LogRecord]:
        """Return records in their order, from the first or from the one after a position."""
        return self._store.read(self._prefix + log, after=after, limit=limit)

    def trim(self, log: str, *, keep: int | None = None, before_s: float | None = None) -> None:
        """Forget the oldest records of a log, by their number, their age or both."""
        self._store.trim(self._prefix + log, keep=keep, before_s=before_s)

    def close(self) -> None:
        """Close the store."""
        self._store.close()
