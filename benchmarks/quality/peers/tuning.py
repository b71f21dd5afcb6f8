"""How a peer's knob is set on the training part: the cheapest setting that loses little on prompts left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from benchmarks.quality.data import Array, Trial

FOLDS = 3
MAX_LOSS = 0.01
"""One point: what a tuned peer may lose on the training prompts."""
MARGINS = np.linspace(-0.2, 0.3, 51)
"""How much less than of the incumbent may be predicted of the model that takes its place."""


def folds(trial: Trial) -> Iterator[tuple[Array, Array]]:
    """Positions within the training part: those to fit on and those left out."""
    order = np.random.default_rng(trial.seed).permutation(len(trial.train))
    for start in range(FOLDS):
        left_out = np.zeros(len(order), dtype=bool)
        left_out[order[start::FOLDS]] = True
        yield np.flatnonzero(~left_out), np.flatnonzero(left_out)


def out_of_fold(trial: Trial, predict: Callable[[Array, Array], Array]) -> Array:
    """Predict each training prompt by a fit that has not seen it: in its own sample any fit looks right."""
    found: Any = np.zeros((len(trial.train), len(trial.grid.models)))
    for fit, left_out in folds(trial):
        found[left_out] = predict(fit, left_out)
    return found


def tuned(trial: Trial, settings: Sequence[Array], max_loss: float = MAX_LOSS) -> int | None:
    """The cheapest setting, each given as the model it chooses for every training prompt; None where all lose more."""
    scores, costs_usd = trial.grid.scores[trial.train], trial.grid.costs_usd[trial.train]
    rows = np.arange(len(trial.train))
    limit = scores[:, trial.incumbent].mean() - max_loss
    within = [i for i, chosen in enumerate(settings) if scores[rows, chosen].mean() >= limit]
    return min(within, key=lambda i: costs_usd[rows, settings[i]].mean(), default=None)


def cheapest_within(trial: Trial, predicted: Array, costs_usd: Array, margin: float) -> Array:
    """For each row the cheapest model of which no more than `margin` less is predicted than of the incumbent.

    Of equally cheap ones the best: models of one price list cost exactly the same.
    """
    good = predicted >= predicted[:, [trial.incumbent]] - margin
    good[:, trial.incumbent] |= ~good.any(axis=1)
    prices = np.where(good, costs_usd, np.inf)
    cheapest = prices <= prices.min(axis=1, keepdims=True) * (1 + 1e-9)
    return np.where(cheapest, predicted, -np.inf).argmax(axis=1)
