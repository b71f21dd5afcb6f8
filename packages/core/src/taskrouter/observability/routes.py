"""The route spans of the latest steps, for labels that come after they have ended."""

from __future__ import annotations

import threading
from typing import Final

from opentelemetry.trace import SpanContext

KEPT: Final = 10_000
"""Steps that are remembered, about 3 MB; the oldest go first."""


class Routes:
    """Knows the route span of a decision.

    Args:
        kept: steps that are remembered.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: dict[str, SpanContext] = {}
        # It may be taken twice: a stream that nobody holds any more ends wherever its garbage is collected.
        self._lock = threading.RLock()

    def note(self, decision_id: str, context: SpanContext) -> None:
        """Remember a step."""
        with self._lock:
            self._known[decision_id] = context
            if len(self._known) > self._kept:
                del self._known[next(iter(self._known))]

    def find(self, decision_id: str) -> SpanContext | None:
        """Return the context of a step's route span, or None."""
        return self._known.get(decision_id)
