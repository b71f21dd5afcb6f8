"""How sure a difference is: 95 % intervals by the paired bootstrap (Efron and Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from taskrouter.errors import MissingExtraError

Interval: TypeAlias = tuple[float, float]

RESAMPLES = 2000
BLOCK_CELLS = 5_000_000
"""Draws held in memory at a time."""


class Run(NamedTuple):
    """Scores and costs of one policy, prompt by prompt."""

    scores: Sequence[float]
    costs_usd: Sequence[float]


class Comparison(NamedTuple):
    """95 % intervals of a policy against the incumbent."""

    delta_points: Interval
    """Difference of the mean scores, in points (hundredths)."""
    saving: Interval | None
    """1 - mean cost over the incumbent's mean cost; None where the incumbent costs nothing."""


def compare(runs: Sequence[Run], incumbent: Run, *, seed: int, resamples: int = RESAMPLES) -> list[Comparison]:
    """Bootstrap every run against the incumbent, over the same resampled prompts.

    Prompts are drawn, not differences of means: hard prompts are hard for both sides, and the pairing keeps that.

    Raises:
        MissingExtraError: numpy is not installed.
    """
    try:
        import numpy as np  # noqa: PLC0415 - heavy, and only needed here
    except ImportError as error:
        raise MissingExtraError("numpy", extra="report", wanted_for="taskrouter evaluate") from error
    base_scores, base_costs = np.asarray(incumbent.scores), np.asarray(incumbent.costs_usd)
    prompts = len(base_scores)
    columns = [base_costs]
    for run in runs:
        columns += [np.asarray(run.scores) - base_scores, np.asarray(run.costs_usd)]
    table = np.column_stack(columns)
    draws = np.random.default_rng(seed)
    even = np.full(prompts, 1.0 / prompts)
    block = max(1, BLOCK_CELLS // prompts)
    # How often each prompt is drawn says all that a resample is, and turns its means into one matrix product.
    means = np.concatenate(
        [
            draws.multinomial(prompts, even, size=min(block, resamples - start)) @ table / prompts
            for start in range(0, resamples, block)
        ]
    )
    free = not (means[:, 0] > 0).all()
    found = []
    for position in range(len(runs)):
        delta = 100 * means[:, 1 + 2 * position]
        saving = None if free else _middle(np.percentile(1 - means[:, 2 + 2 * position] / means[:, 0], (2.5, 97.5)))
        found.append(Comparison(_middle(np.percentile(delta, (2.5, 97.5))), saving))
    return found


def _middle(bounds: Sequence[float]) -> Interval:
    low, high = bounds
    return float(low), float(high)
