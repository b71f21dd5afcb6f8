"""Who said what, for frameworks whose messages do not carry it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple


class Author(NamedTuple):
    """Who gave an answer."""

    model: str
    """Id of the candidate."""
    decision_id: str
    """The step that it answered."""


class Authors:
    """Remembers the authors of the latest answers of this process. Of what they said only hashes are kept.

    Args:
        remembered: how many fingerprints; the oldest go first.
    """

    def __init__(self, remembered: int = 10_000) -> None:
        self._remembered = remembered
        self._of: OrderedDict[bytes, Author] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, fingerprints: Iterable[bytes], author: Author) -> None:
        """Remember who said something; where two said the same, the later one did."""
        with self._lock:
            for said in fingerprints:
                self._of[said] = author
                self._of.move_to_end(said)
            while len(self._of) > self._remembered:
                self._of.popitem(last=False)

    def of(self, fingerprints: Iterable[bytes]) -> Author | None:
        """Return who said one of these; None: nobody that is remembered."""
        return next((author for said in fingerprints if (author := self._of.get(said)) is not None), None)


def fingerprint(*parts: str) -> bytes:
    """Return what stands for a thing that was said: a kind, then its parts, such as a call's id, name and arguments."""
    digest = sha256()
    for part in parts:
        text = part.encode(errors="replace")
        digest.update(len(text).to_bytes(8, "big"))
        digest.update(text)
    return digest.digest()[:16]
