"""Whether a certificate still holds: looked at when the router is built, and again as its work goes on."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from typing import Final

from taskrouter.learning.certificate import Certificate

logger = logging.getLogger("taskrouter.learning")

WINDOW: Final = 500
"""Latest steps whose mix of identities is compared with that of the certificate."""
FEWEST_SEEN: Final = 200
"""Steps before it is compared at all."""
EVERY: Final = 50
"""Steps from one comparison to the next."""


class Standing:
    """A certificate in use. Once lapsed it stays so: what was promised is to be certified anew.

    Args:
        certificate: what was promised.
        lapsed: why it does not hold from the start; None: it does.
    """

    def __init__(self, certificate: Certificate, *, lapsed: str | None = None) -> None:
        self.certificate = certificate
        self._lapsed: str | None = None
        self._lock = threading.Lock()
        self._recent: deque[str] = deque()
        self._counts: Counter[str] = Counter()
        self._until_next = FEWEST_SEEN
        self.line = certificate.line
        """The promise, or that it has lapsed and why, for whoever reads a decision."""
        if lapsed is not None:
            self._lapse(lapsed)

    @property
    def lapsed(self) -> str | None:
        """Why it no longer holds; None: it does."""
        return self._lapsed

    def note(self, identity: str) -> None:
        """Take a step into account."""
        if self._lapsed is not None:
            return
        with self._lock:
            self._recent.append(identity)
            self._counts[identity] += 1
            if len(self._recent) > WINDOW:
                self._forget(self._recent.popleft())
            self._until_next -= 1
            if self._until_next > 0 or self._lapsed is not None:
                return
            self._until_next = EVERY
            reason = self.certificate.drifted(self._counts)
            if reason is not None:
                self._lapse(reason)

    def _forget(self, identity: str) -> None:
        self._counts[identity] -= 1
        if not self._counts[identity]:
            del self._counts[identity]

    def _lapse(self, reason: str) -> None:
        self._lapsed = reason
        self.line = f"lapsed: {reason}"
        logger.warning(
            "the certificate of the learned policy has lapsed: %s; record anew and run `taskrouter tune`", reason
        )
