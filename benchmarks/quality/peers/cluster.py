"""Routing by clusters of texts, in the manner of Avengers-Pro (arXiv 2508.12631).

Training texts are clustered by k-means. In each cluster every model has a mean score p and a mean cost q, both scaled
to run from 0 to 1 over the models, and the value alpha * p + (1 - alpha) * (1 - q). A prompt adds the values of its
four nearest clusters and takes the best model. The original embeds texts by a large model; here they are TF-IDF reduced
to 128 directions, as for the other peers.
"""

from __future__ import annotations

import numpy as np
from benchmarks.quality.data import Array, Result, Trial
from benchmarks.quality.peers.tuning import folds, tuned
from sklearn.cluster import KMeans

CLUSTERS = 60
NEAREST = 4
PER_CLUSTER = 15
"""Fewer training prompts than this for each cluster, and there are fewer clusters."""
EVEN = 0.5
"""Alpha before anybody tunes it: score and cost weigh the same."""
ALPHAS = np.linspace(0, 1, 51)


def results(trial: Trial, *, tune: bool = True) -> dict[str, Result]:
    """With alpha at one half, and tuned."""
    train, test = trial.text.dense_train, trial.text.dense_test
    clusters = max(2, min(CLUSTERS, len(train) // PER_CLUSTER))
    means = KMeans(clusters, n_init=3, random_state=trial.seed).fit(train)
    near_test = _nearest(means.transform(test))
    levels = _levels(trial, means.labels_, np.arange(len(train)), clusters)
    found = {"cluster": trial.pick(_choose(levels, near_test, EVEN))}
    if tune:
        near = _nearest(means.transform(train))
        chosen: Array = np.zeros((len(ALPHAS), len(train)), dtype=int)
        for fit, left_out in folds(trial):  # clusters know no label, so they may stay; the means may not
            own = _levels(trial, means.labels_, fit, clusters)
            for position, alpha in enumerate(ALPHAS):
                chosen[position, left_out] = _choose(own, near[left_out], alpha)
        best = tuned(trial, list(chosen))
        found["cluster, tuned"] = trial.pick(
            np.full(len(trial.test), trial.incumbent) if best is None else _choose(levels, near_test, ALPHAS[best])
        )
    return found


def _nearest(distances: Array) -> Array:
    return np.argsort(distances, axis=1)[:, :NEAREST]


def _levels(trial: Trial, labels: Array, fit: Array, clusters: int) -> tuple[Array, Array]:
    """Scaled mean scores and costs, clusters by models; an empty cluster has those of all prompts."""
    member = (labels[fit][None, :] == np.arange(clusters)[:, None]).astype(float)
    member[member.sum(axis=1) == 0] = 1.0
    member /= member.sum(axis=1, keepdims=True)
    rows = trial.train[fit]
    return _scaled(member @ trial.grid.scores[rows]), _scaled(member @ trial.grid.costs_usd[rows])


def _scaled(levels: Array) -> Array:
    low, high = levels.min(axis=1, keepdims=True), levels.max(axis=1, keepdims=True)
    return (levels - low) / np.where(high > low, high - low, 1.0)


def _choose(levels: tuple[Array, Array], near: Array, alpha: float) -> Array:
    scores, costs = levels
    values = alpha * scores + (1 - alpha) * (1 - costs)
    return values[near].sum(axis=1).argmax(axis=1)
