"""The usual text router, as a baseline: nearest training prompts by TF-IDF, and what models scored on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from taskrouter.decision import Plan
from taskrouter.errors import MissingExtraError
from taskrouter.evaluation.recordings import Recording
from taskrouter.evaluation.situations import Situation
from taskrouter.step import Step

NEIGHBOURS = 30
"""Training prompts that a prediction rests on; fewer are too noisy to tell good models apart."""


class KnnText:
    """Takes the cheapest model predicted to score at least what is predicted of the incumbent.

    A prediction is the mean over the 30 training prompts nearest by cosine of TF-IDF (words and pairs of words). The
    text is what profiling sees too: extracts of the system prompt and of the last user message. A prompt without any
    known word stays with the incumbent.
    """

    name = "knn-text"

    def __init__(self, models: Sequence[str], incumbent: str, index: Any, scores: Any, costs_usd: Any) -> None:
        self._models = list(models)
        self._incumbent = self._models.index(incumbent)
        self._index = index
        self._scores = scores
        self._costs_usd = costs_usd

    @classmethod
    def fit(cls, train: Recording, situations: Sequence[Situation], incumbent: str) -> Self:
        """Index training prompts, seen as `situations`.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        try:
            import numpy as np  # noqa: PLC0415 - heavy, and only needed here
        except ImportError as error:
            raise MissingExtraError("numpy", extra="report", wanted_for="taskrouter evaluate") from error
        outcomes = [[prompt.outcomes[model] for model in train.models] for prompt in train.prompts]
        scores = np.array([[outcome.score for outcome in row] for row in outcomes])
        costs_usd = np.array([[outcome.cost_usd for outcome in row] for row in outcomes])
        return cls(train.models, incumbent, _Index([_text(s.step) for s in situations]), scores, costs_usd)

    def plans(self, situations: Sequence[Situation]) -> list[Plan]:
        """Predict every model's score from the nearest prompts, and take the cheapest that will do."""
        nearest = self._index.nearest([_text(s.step) for s in situations])
        return [Plan(models=(self._models[self._choose(rows)],)) for rows in nearest]

    def _choose(self, rows: Any) -> int:
        if not len(rows):
            return self._incumbent
        scores, costs_usd = self._scores[rows].mean(axis=0), self._costs_usd[rows].mean(axis=0)
        good = [i for i in range(len(self._models)) if scores[i] >= scores[self._incumbent]]
        return min(good, key=lambda i: (costs_usd[i], -scores[i], self._models[i]))


class _Index:
    """Training texts as TF-IDF vectors."""

    def __init__(self, texts: Sequence[str]) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - heavy, only needed here
            from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - heavy, only needed here
        except ImportError as error:
            raise MissingExtraError("scikit-learn", extra="report", wanted_for="the baseline knn-text") from error
        self._vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        self._nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(texts)), metric="cosine", algorithm="brute")
        self._wordless = not any(map(self._vectors.build_analyzer(), texts))
        if not self._wordless:
            self._nearest.fit(self._vectors.fit_transform(texts))

    def nearest(self, texts: Sequence[str]) -> list[Any]:
        """Return the positions of the nearest training texts, and none for a text without a known word."""
        if self._wordless:
            return [()] * len(texts)
        vectors = self._vectors.transform(texts)
        known = vectors.getnnz(axis=1) > 0
        found = self._nearest.kneighbors(vectors, return_distance=False)
        return [rows if seen else () for rows, seen in zip(found, known, strict=True)]


def _text(step: Step) -> str:
    return f"{step.view.system}\n{step.view.user}"
