"""From labelled prompts to the content of the file of weights."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from training.classifier.calibrate import REQUEST_COUNTS, folds, sharpness
from training.classifier.domains import fit_domains
from training.classifier.features import Columns, Floats, Heard, columns, hear, matrix
from training.classifier.fit import CLASSES, Model, fit
from training.classifier.pack import packed, pruned
from training.classifier.rows import Row

from taskrouter.profile import TASK_TYPES

MOST = 25_000
"""N-grams of each voice that are kept."""


class Table(NamedTuple):
    """Rows as numbers."""

    features: sp.csr_matrix
    twins: tuple[NDArray[np.intp], NDArray[np.intp]]
    evidence: tuple[Floats, Floats]
    labels: NDArray[np.intp]
    counts: Floats

    def of(self, chosen: NDArray[np.bool_]) -> Table:
        """Return some of the rows."""
        first, second = self.evidence
        return Table(
            self.features[chosen], self.twins, (first[chosen], second[chosen]), self.labels[chosen], self.counts[chosen]
        )


def build(rows: Sequence[Row]) -> bytes:
    """Train on rows and return the content of the file."""
    heard = [hear(row) for row in rows]
    cols = columns(rows, heard)
    _say(f"{len(rows)} rows, {len(cols.user)} n-grams")
    cols = pruned(_fit(table(rows, heard, cols)), cols, MOST)
    numbers = table(rows, heard, cols)
    factors = calibrated(rows, numbers)
    _say(f"sharpness {factors}")
    return packed(_fit(numbers), cols, factors, fit_domains(rows))


def calibrated(rows: Sequence[Row], numbers: Table) -> tuple[float, float]:
    """Return the sharpness for system prompts alone and for whole steps, from rows that were left out of the fit."""
    logits, left_out = left_out_logits(rows, numbers)
    alone = np.array([not row.user for row in rows])
    counts = np.array([1.0 if row.own else REQUEST_COUNTS for row in rows], np.float32)
    identity, whole = (
        sharpness(logits[chosen], numbers.labels[chosen], counts[chosen])
        for chosen in (left_out & alone, left_out & ~alone)
    )
    return min(identity, whole), whole  # what an identity is taken for holds for good: it may not be the bolder one


def left_out_logits(rows: Sequence[Row], numbers: Table) -> tuple[Floats, NDArray[np.bool_]]:
    """Return logits of rows by models that have not seen their source, and which rows have any."""
    logits = np.zeros((len(rows), CLASSES), np.float32)
    done = np.zeros(len(rows), bool)
    for group, out in folds(rows):
        model = _fit(numbers.of(~out))
        part = numbers.of(out)
        logits[out] = model.logits(part.features, part.evidence)
        done |= out
        right = float((logits[out].argmax(1) == part.labels).mean())
        _say(f"without {group}: {right:.3f} of its {out.sum()} rows right")
    return logits, done


def table(rows: Sequence[Row], heard: Sequence[Heard], cols: Columns) -> Table:
    """Turn rows into numbers."""
    place = {task_type: number for number, task_type in enumerate(TASK_TYPES)}
    return Table(
        matrix(heard, cols),
        cols.twins(),
        (np.stack([h.identity_rules for h in heard]), np.stack([h.user_rules for h in heard])),
        np.array([place[row.label] for row in rows], np.intp),
        np.array([row.weight for row in rows], np.float32),
    )


def _fit(numbers: Table) -> Model:
    return fit(numbers.features, numbers.twins, numbers.evidence, numbers.labels, numbers.counts)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
