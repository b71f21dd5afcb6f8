"""Text as features: TF-IDF over words and pairs of words, and its principal directions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

DIRECTIONS = 128


def count_words(texts: Sequence[str]) -> Any:
    """Count words and pairs of words, the costly part of TF-IDF; the weights are those of a split."""
    vectors = CountVectorizer(ngram_range=(1, 2))
    return vectors.fit_transform(texts)


class TextFeatures:
    """TF-IDF as if the vectoriser had seen the training texts only: a word they lack does not exist."""

    def __init__(self, words: Any, train: Any, test: Any, seed: int) -> None:
        seen = words[train]
        known = np.flatnonzero(seen.getnnz(axis=0) > 0)
        weights = TfidfTransformer(sublinear_tf=True).fit(seen[:, known])
        self.train = weights.transform(seen[:, known])
        self.test = weights.transform(words[test][:, known])
        self._seed = seed

    @cached_property
    def _directions(self) -> tuple[Any, Any]:
        # What a single text has points to that text only, and is most of the matrix.
        common = np.flatnonzero(self.train.getnnz(axis=0) > 1)
        train, test = self.train[:, common], self.test[:, common]
        found = TruncatedSVD(min(DIRECTIONS, *(side - 1 for side in train.shape)), random_state=self._seed, n_iter=2)
        reduced = normalize(found.fit_transform(train))
        return reduced, normalize(found.transform(test))

    @property
    def dense_train(self) -> Any:
        """Training texts in 128 directions, of length 1."""
        return self._directions[0]

    @property
    def dense_test(self) -> Any:
        """Test texts in the same directions."""
        return self._directions[1]
