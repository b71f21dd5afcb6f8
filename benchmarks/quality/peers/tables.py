"""Tables and coins: what labels alone buy, without a text and without a cascade."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from benchmarks.quality.data import Array, Result, Trial
from benchmarks.quality.peers.tuning import MAX_LOSS

from taskrouter.learning import Option, Work, allocate, hull


def results(trial: Trial) -> dict[str, Result]:
    """The task table taken at its word and with one point to lose; the best single model and the best coin."""
    tasks = trial.grid.tasks
    found = {}
    for name, max_loss in (("task-table", 0.0), ("task-table, tuned", MAX_LOSS)):
        choices = joint_choices(trial, tasks[trial.train], max_loss)
        found[name] = trial.pick(np.array([choices.get(task, trial.incumbent) for task in tasks[trial.test]]))
    found["best single within 1 point"] = trial.pick(np.full(len(trial.test), _cheap_single(trial)))
    found["hull: coin between singles"] = coin(trial, MAX_LOSS)
    return found


def joint_choices(trial: Trial, groups: Array, max_loss: float) -> dict[Any, int]:
    """One model for each group of training prompts, the cheapest whose pooled training loss is within `max_loss`.

    Nothing where that would be dearer than the incumbent, which then keeps everything.
    """
    work = {}
    for group in np.unique(groups):
        rows = trial.train[groups == group]
        work[group] = Work(len(rows), _options(trial, rows))
    allocation = allocate(work, incumbent=str(trial.incumbent), max_loss=max_loss)
    if allocation.expected_cost_usd > trial.grid.costs_usd[trial.train, trial.incumbent].mean():
        return {}
    return {group: int(model) for group, model in allocation.choices.items()}


def coin(trial: Trial, max_loss: float) -> Result:
    """The cheapest coin between two models that is expected to lose at most `max_loss`, by the training prompts.

    Its result is the expectation, so it has no luck.
    """
    options = _options(trial, trial.train)
    line = [(int(name), options[name]) for name in hull(options)]
    wanted = options[str(trial.incumbent)].score - max_loss
    cheap, dear, share = line[0][0], line[0][0], 0.0
    for (low, worse), (high, better) in pairwise(line):
        if worse.score < wanted:
            cheap, dear, share = low, high, min(1.0, (wanted - worse.score) / (better.score - worse.score))
    one, other = (trial.pick(np.full(len(trial.test), model)) for model in (cheap, dear))
    mixed = [(1 - share) * a + share * b for a, b in zip(one, other, strict=True)]
    return Result(*mixed)


def _options(trial: Trial, rows: Array) -> dict[str, Option]:
    scores, costs_usd = trial.grid.scores[rows].mean(axis=0), trial.grid.costs_usd[rows].mean(axis=0)
    return {str(m): Option(float(scores[m]), float(costs_usd[m])) for m in range(len(trial.grid.models))}


def _cheap_single(trial: Trial) -> int:
    scores, costs_usd = (values[trial.train].mean(axis=0) for values in (trial.grid.scores, trial.grid.costs_usd))
    good = np.flatnonzero(scores >= scores[trial.incumbent] - MAX_LOSS)
    return int(good[costs_usd[good].argmin()])
