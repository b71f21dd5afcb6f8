"""Bounds the values of a metric's label."""

from __future__ import annotations

from typing import Final

OTHER: Final = "other"


class Vocabulary:
    """Lets the first words through and replaces those that come later by `other`.

    Each value of a label is a time series, kept in memory here and paid for there.

    Args:
        limit: words that are told apart.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._words: set[str] = set()

    def known(self, word: str) -> str:
        """Return the word, or `other` where there are too many already."""
        # Two threads may each add the last word: one too many does no harm, a lock would.
        if word not in self._words:
            if len(self._words) >= self._limit:
                return OTHER
            self._words.add(word)
        return word
