"""What labellers have said, kept in the store: decided once, for every process and after every restart."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taskrouter.ports import Classification
from taskrouter.profile import TASK_TYPES
from taskrouter.profiling.identity import Identity
from taskrouter.state.store import Entry, StateStore

LABELS: Final = "labels"
"""The store's space."""
KEPT_S: Final = 90 * 86_400.0
"""How long a label is kept; then it is asked for again."""


class KeptLabels:
    """Reads and writes what one labeller has said of step identities.

    An entry holds the names of agent and node, the digest of the system prompt and what was said; never a prompt.

    Args:
        store: where other processes look too.
        labeller: its name. What another one has said does not count.
        clock: seconds since the epoch.
    """

    def __init__(self, store: StateStore, labeller: str, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._labeller = labeller
        self._clock = clock

    def read(self) -> Mapping[Identity, Classification | None]:
        """Return what is known; None for what the labeller could not tell. Entries that cannot be read are left out.

        Raises:
            StoreUnavailable: the store is away.
        """
        known: dict[Identity, Classification | None] = {}
        for entry in self._store.entries(LABELS).values():
            try:
                kept = _Kept.model_validate_json(entry.value)
                identity = kept.agent, kept.node, bytes.fromhex(kept.prompt)
            except (ValidationError, ValueError):
                continue
            if kept.v == 1 and kept.labeller == self._labeller and all(t in TASK_TYPES for t, _ in kept.said):
                known[identity] = Classification(kept.said, kept.signals, of_identity=True) if kept.said else None
        return known

    def write(self, identity: Identity, label: Classification | None) -> None:
        """Keep what was said of an identity.

        Raises:
            StoreUnavailable: the store is away.
        """
        agent, node, prompt = identity
        kept = {
            "v": 1,
            "labeller": self._labeller,
            "agent": agent,
            "node": node,
            "prompt": prompt.hex(),
            "said": [] if label is None else label.alternatives[:_SAID],
            "signals": [] if label is None else label.signals,
        }
        key = hashlib.sha256(json.dumps([self._labeller, agent, node, prompt.hex()]).encode()).hexdigest()[:32]
        self._store.put(LABELS, {key: Entry(value=json.dumps(kept), expires_at_s=self._clock() + KEPT_S)})


_SAID = 5
"""Alternatives that are kept."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    v: int
    labeller: str
    agent: str | None
    node: str | None
    prompt: str = Field(pattern="^[0-9a-f]{32}$")
    said: tuple[tuple[str, float], ...]
    signals: tuple[str, ...] = ()
