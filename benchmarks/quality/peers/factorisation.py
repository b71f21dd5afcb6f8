"""Matrix factorisation between a strong and a weak model, in the manner of RouteLLM (arXiv 2406.18665).

The value of a model for a text is the product of the model's vector and a projection of the text; both are trained on
every model's scores. The strong model is the incumbent, the weak one the best of those that cost at most a quarter. A
prompt goes to the strong one where its predicted advantage exceeds a threshold. RouteLLM sets the threshold by the
share of prompts that should go to the strong model; half is its usual example.
"""

from __future__ import annotations

import numpy as np
from benchmarks.quality.data import Array, Result, Trial
from benchmarks.quality.peers.tuning import MAX_LOSS, out_of_fold, tuned
from scipy.optimize import minimize
from scipy.special import expit

RANK = 16
RIDGE = 0.5
ITERATIONS = 150
WEAK_SHARE = 0.25
SHARES = np.linspace(0, 1, 101)
"""Shares of the prompts that go to the strong model."""


def results(trial: Trial) -> dict[str, Result]:
    """Half to the strong model; and thresholds that lose nothing, or one point, on training prompts left out."""
    text, scores = trial.text, trial.grid.scores[trial.train]
    weak = _weak(trial)
    own = out_of_fold(
        trial,
        lambda fit, out: fit_predict(text.dense_train[fit], scores[fit], text.dense_train[out], trial.seed),
    )
    gain = own[:, trial.incumbent] - own[:, weak]
    predicted = fit_predict(text.dense_train, scores, text.dense_test, trial.seed)
    wanted = predicted[:, trial.incumbent] - predicted[:, weak]
    limits = np.quantile(gain, 1 - SHARES)
    limits[0], limits[-1] = np.inf, -np.inf
    settings = [np.where(gain >= limit, trial.incumbent, weak) for limit in limits]
    found = {"matrix, half": trial.pick(np.where(wanted >= np.median(gain), trial.incumbent, weak))}
    for name, max_loss in (("matrix, tuned to lose nothing", 0.0), ("matrix, tuned", MAX_LOSS)):
        best = tuned(trial, settings, max_loss)
        limit = -np.inf if best is None else limits[best]
        found[name] = trial.pick(np.where(wanted >= limit, trial.incumbent, weak))
    return found


def _weak(trial: Trial) -> int:
    scores = trial.grid.scores[trial.train].mean(axis=0)
    costs_usd = trial.grid.costs_usd[trial.train].mean(axis=0)
    cheap = np.flatnonzero(costs_usd <= WEAK_SHARE * costs_usd[trial.incumbent])
    return int(cheap[scores[cheap].argmax()]) if len(cheap) else int(costs_usd.argmin())


def fit_predict(features: Array, scores: Array, wanted: Array, seed: int) -> Array:
    """Fit projection, model vectors and biases by log loss; return the probabilities for the wanted rows."""
    size, models = features.shape[1], scores.shape[1]
    rank = min(RANK, models, size)
    draws = np.random.default_rng(seed)
    mean = scores.mean(axis=0).clip(0.01, 0.99)
    start = np.concatenate(
        [draws.normal(0, 0.3, size * rank), draws.normal(0, 0.3, rank * models), np.log(mean / (1 - mean))]
    )

    def parts(flat: Array) -> tuple[Array, Array, Array]:
        cut = size * rank
        return flat[:cut].reshape(size, rank), flat[cut:-models].reshape(rank, models), flat[-models:]

    def loss(flat: Array) -> tuple[float, Array]:
        project, vectors, bias = parts(flat)
        hidden = features @ project
        logits = hidden @ vectors + bias
        error = expit(logits) - scores
        value = np.logaddexp(0, logits).sum() - (scores * logits).sum()
        value += RIDGE / 2 * ((project**2).sum() + (vectors**2).sum())
        gradient = [features.T @ (error @ vectors.T) + RIDGE * project, hidden.T @ error + RIDGE * vectors]
        return float(value), np.concatenate([*(part.ravel() for part in gradient), error.sum(axis=0)])

    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    project, vectors, bias = parts(best.x)
    return expit(wanted @ project @ vectors + bias)
