"""Figures over several splits of one recording, with intervals that know that splits share their prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from benchmarks.quality.data import Result, Trial

RESAMPLES = 2000
Interval: TypeAlias = tuple[float, float]


class Figure(NamedTuple):
    """A policy against the incumbent, over all splits."""

    delta_points: float
    """Mean over the splits of the difference of mean scores, in hundredths."""
    delta_ci: Interval
    """95 % interval."""
    saving: float
    """Mean over the splits of 1 - cost over the incumbent's cost."""
    saving_ci: Interval
    calls: float
    """Mean per prompt."""
    worst_delta: float
    """The split with the lowest difference."""

    @property
    def worse(self) -> bool:
        """Whether the whole interval of the difference lies below zero."""
        return self.delta_ci[1] < 0


def figures(trials: Sequence[Trial], results: Mapping[str, Sequence[Result]], *, seed: int = 0) -> dict[str, Figure]:
    """Compare each policy with the incumbents over all trials of one recording.

    The bootstrap draws prompts, and a prompt brings its rows in all the splits that it was judged in: rows of one
    prompt are no independent evidence. Saving and difference are taken within each split and then averaged, so a split
    whose incumbent is dear weighs no more than another.
    """
    prompts, splits = len(trials[0].grid), len(trials)
    columns = [_column(trials, [np.ones(len(t.test)) for t in trials], prompts)]
    columns.append(_column(trials, [t.base.costs_usd for t in trials], prompts))
    for outcome in results.values():
        paired = list(zip(trials, outcome, strict=True))
        columns.append(_column(trials, [result.scores - t.base.scores for t, result in paired], prompts))
        columns.append(_column(trials, [result.costs_usd for _, result in paired], prompts))
    table = np.concatenate(columns, axis=1)
    drawn = np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=RESAMPLES)
    sums = np.concatenate([table.sum(axis=0)[None], drawn.astype(np.float64) @ table])
    count, base = sums[:, :splits], sums[:, splits : 2 * splits]
    found = {}
    for position, (name, outcome) in enumerate(results.items(), start=1):
        start = 2 * position * splits
        deltas = 100 * sums[:, start : start + splits] / count
        savings = 1 - sums[:, start + splits : start + 2 * splits] / base
        found[name] = Figure(
            float(deltas[0].mean()),
            _middle(deltas[1:].mean(axis=1)),
            float(savings[0].mean()),
            _middle(savings[1:].mean(axis=1)),
            float(np.mean([result.calls.mean() for result in outcome])),
            float(deltas[0].min()),
        )
    return found


def _column(trials: Sequence[Trial], values: Sequence[Any], prompts: int) -> Any:
    """One column for each split, zero for prompts that it did not judge."""
    table = np.zeros((prompts, len(trials)))
    for split, (trial, rows) in enumerate(zip(trials, values, strict=True)):
        np.add.at(table[:, split], trial.test, rows)
    return table


def _middle(values: Any) -> Interval:
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
