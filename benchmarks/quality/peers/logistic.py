"""A logistic regression on TF-IDF for each model, of whether it will be right; the cheapest within a predicted loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmarks.quality.data import Array, Result, Trial
from benchmarks.quality.peers.tuning import MARGINS, cheapest_within, out_of_fold, tuned
from scipy.optimize import minimize
from scipy.special import expit

RIDGE = 1.0
"""Half of this times the squared weights is added to the summed log loss, as scikit-learn's default C = 1 does."""
ITERATIONS = 40


def results(trial: Trial, *, tune: bool = True) -> dict[str, Result]:
    """With the predicted loss at 0, as a user would first set it, and tuned."""
    text, scores = trial.text, trial.grid.scores[trial.train]
    costs_usd = trial.grid.costs_usd[trial.train].mean(axis=0)
    predicted = fit_predict(text.train, scores, text.test)
    found = {"logistic-text": trial.pick(cheapest_within(trial, predicted, costs_usd, 0.0))}
    if tune:
        own = out_of_fold(trial, lambda fit, out: fit_predict(text.train[fit], scores[fit], text.train[out]))
        best = tuned(trial, [cheapest_within(trial, own, costs_usd, margin) for margin in MARGINS])
        picked = (
            np.full(len(trial.test), trial.incumbent)
            if best is None
            else cheapest_within(trial, predicted, costs_usd, MARGINS[best])
        )
        found["logistic-text, tuned"] = trial.pick(picked)
    return found


def fit_predict(features: Any, scores: Array, wanted: Any) -> Array:
    """Fit all models at once, for they share the features; return the probabilities for the wanted rows.

    Pairs of words that a single training text has are left out: they fit that text and predict nothing.
    """
    common = np.flatnonzero(features.getnnz(axis=0) > 1)
    features, wanted = features[:, common].tocsr(), wanted[:, common]
    turned = features.T.tocsr()
    size, models = features.shape[1], scores.shape[1]
    start: Array = np.zeros((size + 1, models))
    mean = scores.mean(axis=0).clip(0.01, 0.99)
    start[-1] = np.log(mean / (1 - mean))

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(size + 1, models)
        logits = features @ weights[:-1] + weights[-1]
        error = expit(logits) - scores
        value = np.logaddexp(0, logits).sum() - (scores * logits).sum() + RIDGE / 2 * (weights[:-1] ** 2).sum()
        gradient = np.vstack([turned @ error + RIDGE * weights[:-1], error.sum(axis=0)])
        return float(value), gradient.ravel()

    best = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    weights = best.x.reshape(size + 1, models)
    return expit(wanted @ weights[:-1] + weights[-1])
