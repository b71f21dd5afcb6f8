"""Softmax regression on n-grams and on the evidence of the rules, by L-BFGS in one thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize
from training.classifier.features import Floats

from taskrouter.profile import TASK_TYPES

RIDGE: Final = 3.0
"""Pull of a weight towards 0, in rows."""
RULES: Final = 0.55
"""What a unit of the rules' evidence counts before anything is learnt."""
RULES_RIDGE: Final = 200.0
"""Pull to that: the public prompts would make light of the rules, which know little of benchmarks."""
ROUNDS: Final = 60
CLASSES: Final = len(TASK_TYPES)


class Model(NamedTuple):
    """A fitted model."""

    weights: Floats
    """Feature by task type."""
    rules: Floats
    """What the evidence of the rules counts: of the identity and of the user's text, by task type."""

    def logits(self, features: sp.csr_matrix, evidence: Sequence[Floats]) -> Floats:
        """Return the logits of rows."""
        logits = np.asarray(features @ self.weights)
        for counts, heard in zip(self.rules, evidence, strict=True):
            logits = logits + heard * counts
        return logits


def fit(
    features: sp.csr_matrix,
    twins: tuple[NDArray[np.intp], NDArray[np.intp]],
    evidence: Sequence[Floats],
    labels: NDArray[np.intp],
    counts: Floats,
) -> Model:
    """Fit a model to rows.

    A word means much the same in a system prompt and in the user's text. So the weights w and v of twins are held back
    as if each were the sum of a weight of its own and one that they share, each under the same ridge: what is left of
    the ridge after the best split is (2w² + 2v² - 2wv) / 3.

    Args:
        features: rows by features; the last feature is the constant.
        twins: positions of the features that mean the same n-gram, in the system prompt and in the user's text.
        evidence: what the rules hear, rows by task type: of the identity and of the user's text.
        labels: position of each row's task type.
        counts: how much each row counts.
    """
    rows, width = features.shape
    turned = features.T.tocsr()
    shares = (counts / counts.sum() * rows).astype(np.float32)[:, None]
    wanted = np.zeros((rows, CLASSES), np.float32)
    wanted[np.arange(rows), labels] = 1
    here, there = twins
    pull = np.full((width, 1), RIDGE, np.float32)
    pull[-1] = 0.5
    pull[here] = pull[there] = RIDGE * 2 / 3
    split = width * CLASSES

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        model = Model(
            flat[:split].reshape(width, CLASSES).astype(np.float32),
            flat[split:].reshape(-1, CLASSES).astype(np.float32),
        )
        logits = model.logits(features, evidence)
        logits -= logits.max(1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(1, keepdims=True)
        error = shares * (odds / total - wanted)
        held = pull * model.weights
        held[here] -= RIDGE / 3 * model.weights[there]
        held[there] -= RIDGE / 3 * model.weights[here]
        slope = turned @ error + held
        off = model.rules - RULES
        rules_slope = np.stack([(error * heard).sum(0) for heard in evidence]) + RULES_RIDGE * off
        surprise = -(shares * wanted * (logits - np.log(total))).sum(dtype=np.float64)
        ridge = (held * model.weights).sum(dtype=np.float64) + RULES_RIDGE * (off**2).sum(dtype=np.float64)
        return float(surprise + ridge / 2), np.concatenate([slope.ravel(), rules_slope.ravel()]).astype(np.float64)

    start = np.concatenate([np.zeros(split), np.full(len(evidence) * CLASSES, RULES)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS, "maxcor": 8}).x
    return Model(
        found[:split].reshape(width, CLASSES).astype(np.float32),
        found[split:].reshape(-1, CLASSES).astype(np.float32),
    )
