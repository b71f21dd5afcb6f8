"""What is known of each step identity: the task type that its name or system prompt has once settled."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import TypeAlias

from taskrouter.ports import Classification
from taskrouter.step import StepContext, StepView

Identity: TypeAlias = tuple[str | None, str | None, bytes]
"""Agent, node, and a digest of the system prompt."""


class IdentityMemory:
    """Remembers, for each step identity, a task type that holds whatever the user writes.

    An agent calls its model thousands of times with the same name and the same system prompt: what these say need be
    decided once. An identity is the names of agent and node and a digest of the system prompt (its extract and its
    full length; the digest is stable across processes, and the prompt itself is not kept). The node belongs to it
    because the nodes of one graph often share an agent name and have no system prompt.

    Only a classification that the names or the system prompt decided alone (`of_identity`), and at least as sure as
    `floor`, is remembered. "You are a helpful assistant" decides nothing, so its steps are classified anew from what
    each of them asks.

    The memory holds the `capacity` identities used last and may be shared by threads; a capacity of 0 turns it off.
    """

    def __init__(self, capacity: int, floor: float) -> None:
        self._capacity = capacity
        self._floor = floor
        self._known: OrderedDict[Identity, Classification] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of known identities."""
        return len(self._known)

    def recall(self, identity: Identity | None) -> Classification | None:
        """Return what was decided for an identity, if anything was."""
        if identity is None or not self._known:
            return None
        with self._lock:
            known = self._known.get(identity)
            if known is not None:
                self._known.move_to_end(identity)
        return known

    def remember(self, identity: Identity | None, found: Classification) -> None:
        """Keep a classification if it holds for every step of the identity; the first one stands."""
        if identity is None or not self._capacity or not found.of_identity or not found.alternatives:
            return
        if found.alternatives[0][1] < self._floor:
            return
        with self._lock:
            self._known.setdefault(identity, found)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)


def identify(view: StepView, context: StepContext) -> Identity | None:
    """Return the identity of a step, or None for an anonymous one: no agent, no node, no system prompt."""
    if not view.system and not context.agent and not context.node:
        return None
    text = f"{view.system_chars}\n{view.system}".encode("utf-8", "surrogatepass")
    return context.agent, context.node, blake2b(text, digest_size=16).digest()
