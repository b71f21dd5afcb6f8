"""Nearest neighbours by text: `evaluation.knn` as columns, so that its margin can be tuned too."""

from __future__ import annotations

import numpy as np
from benchmarks.quality.data import Array, Result, Trial
from benchmarks.quality.peers.tuning import MARGINS, cheapest_within, tuned

NEIGHBOURS = 30


def results(trial: Trial, *, tune: bool = True) -> dict[str, Result]:
    """As a user gets it (margin 0), and with the margin tuned."""
    scores, costs_usd = _means(trial, trial.text.test @ trial.text.train.T)
    found = {"knn-text": trial.pick(cheapest_within(trial, scores, costs_usd, 0.0))}
    if tune:
        near = trial.text.train @ trial.text.train.T
        near.setdiag(-1.0)
        own = _means(trial, near)
        best = tuned(trial, [cheapest_within(trial, *own, margin) for margin in MARGINS])
        picked = (
            np.full(len(trial.test), trial.incumbent)
            if best is None
            else cheapest_within(trial, scores, costs_usd, MARGINS[best])
        )
        found["knn-text, tuned"] = trial.pick(picked)
    return found


def _means(trial: Trial, similarity: Array) -> tuple[Array, Array]:
    """Mean score and cost of each model over the nearest training prompts."""
    near = similarity.toarray()
    size = min(NEIGHBOURS, near.shape[1] - 1)
    rows = trial.train[np.argpartition(-near, size, axis=1)[:, :size]]
    return trial.grid.scores[rows].mean(axis=1), trial.grid.costs_usd[rows].mean(axis=1)
