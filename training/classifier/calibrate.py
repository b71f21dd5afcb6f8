"""How sharp the probabilities may be, so that they hold on sources that the training has not seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from training.classifier.features import Floats
from training.classifier.rows import Row

REQUESTS: Final = frozenset({"yizhongw/self-instruct", "f/awesome-chatgpt-prompts"})
"""The public sources that look like requests of people; the others are benchmarks, and no guide to an agent's steps."""
REQUEST_COUNTS: Final = 0.3
"""What a row of theirs counts beside one of ours."""


def folds(rows: Sequence[Row]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield which rows are left out together: each file of our own prompts, and the public requests."""
    groups = np.array([row.group for row in rows])
    for group in sorted({row.group for row in rows if row.own}):
        yield group, groups == group
    yield "public requests", np.isin(groups, sorted(REQUESTS))


def sharpness(logits: Floats, labels: NDArray[np.intp], counts: Floats) -> float:
    """Return the factor on logits by which the labels are least surprising."""

    def surprise(log_factor: float) -> float:
        scaled = logits.astype(np.float64) * np.exp(log_factor)
        scaled -= scaled.max(1, keepdims=True)
        right = scaled[np.arange(len(labels)), labels] - np.log(np.exp(scaled).sum(1))
        return -float((counts * right).sum() / counts.sum())

    return float(np.exp(minimize_scalar(surprise, bounds=(-2.0, 1.5), method="bounded").x))
