"""Telling a label by the nearest examples, with probabilities that are calibrated on the examples themselves.

How large a cosine is depends on the embedding model, so no threshold can be fixed beforehand. Each example in turn is
left out and told by the others: the softness of the probabilities is the one under which this goes best, and a text
that is farther from everything than nearly all examples are from their nearest neighbour is not told at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOFTNESS: Final = np.geomspace(0.005, 1.0, 60)
"""Divisors of cosines that are tried."""
STRANGE: Final = 0.05
"""Share of the examples that are as far from the others as a text that is not told."""


class Nearest:
    """Labelled unit vectors.

    Args:
        vectors: one a row, of length 1.
        labels: what each is for.
        neighbours: nearest examples of each label that speak for it.
    """

    def __init__(self, vectors: NDArray[np.float32], labels: Sequence[str], *, neighbours: int) -> None:
        self._vectors = vectors
        self.labels = tuple(dict.fromkeys(labels))
        of_label = np.array([self.labels.index(label) for label in labels])
        self._members = [np.flatnonzero(of_label == place) for place in range(len(self.labels))]
        self._neighbours = neighbours
        others = vectors @ vectors.T
        np.fill_diagonal(others, -np.inf)
        scores = self._scores(others)
        self.floor = float(np.quantile(others.max(axis=1), STRANGE))
        """The cosine to the nearest example below which a text is strange."""
        self.softness = min((float(s) for s in SOFTNESS), key=lambda s: _surprise(scores, of_label, s))

    def tell(self, vector: NDArray[np.float32]) -> tuple[tuple[str, float], ...]:
        """Return labels with probabilities, best first; none for a text that is like no example."""
        cosines = self._vectors @ vector
        if float(cosines.max()) < self.floor:
            return ()
        shares = _shares(self._scores(cosines[np.newaxis]), self.softness)[0]
        order = np.argsort(-shares, kind="stable")
        return tuple((self.labels[place], float(shares[place])) for place in order)

    def _scores(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean cosine to the nearest examples of each label, for each row."""
        columns = []
        for members in self._members:
            near = -np.sort(-cosines[:, members], axis=1)[:, : self._neighbours]
            there = np.isfinite(near)  # a label's only example has no other to be told by
            total = np.where(there, near, 0.0).sum(axis=1)
            columns.append(np.where(there.any(axis=1), total / np.maximum(there.sum(axis=1), 1), -1.0))
        return np.stack(columns, axis=1)


def _shares(scores: NDArray[np.float32], softness: float) -> NDArray[np.float64]:
    logits = scores.astype(np.float64) / softness
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _surprise(scores: NDArray[np.float32], truth: NDArray[np.int64], softness: float) -> float:
    shares = _shares(scores, softness)[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(shares, 1e-12)).mean())
