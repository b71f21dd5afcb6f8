"""Plans for the steps of a run: jointly, by one price of success for the whole run, and node by node."""

from __future__ import annotations

import numpy as np
from benchmarks.quality import ours
from benchmarks.quality.compositions import Kind, cost_usd, success
from benchmarks.quality.data import Array, Grid

from taskrouter.decision import Plan

STRENGTH = 10.0
"""Labels that an arm's mean over all tasks is worth beside those of one task."""
PRICES = np.concatenate([[0.0], np.geomspace(1e-5, 10.0, 120)])
"""Dollars for one more unit of the run's log success."""
FOLDS = 5


class Arms:
    """What can be done on each step, with its outcome on every prompt of a recording, every call charged."""

    def __init__(self, grid: Grid, train: Array, base: int) -> None:
        self.train = train
        self.tasks = grid.tasks
        alone = [Plan(models=(model,)) for model in grid.models]  # first, so that a model's column is its arm
        self.plans = [*alone, *(plan for plan in ours.arms(grid.part(train), grid.models[base]) if plan not in alone)]
        every = np.arange(len(grid))
        served = [grid.served(plan, every) for plan in self.plans]
        self.scores: Array = np.column_stack([one.scores for one in served])
        self.costs_usd: Array = np.column_stack([one.costs_usd for one in served])

    def means(self, rows: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        """Mean scores (shrunk towards the arm's mean over all tasks) and mean costs of all arms, by task."""
        whole = self.scores[rows].mean(axis=0), self.costs_usd[rows].mean(axis=0)
        scores, costs = {}, {}
        for task in np.unique(self.tasks):
            own = rows[self.tasks[rows] == task]
            scores[task] = (self.scores[own].sum(axis=0) + STRENGTH * whole[0]) / (len(own) + STRENGTH)
            costs[task] = self.costs_usd[own].mean(axis=0) if len(own) else whole[1]
        return scores, costs


def at_price(arms: Arms, rows: Array, run: list[Kind], base: int, price: float) -> dict[str, int]:
    """The arm for each task, as these rows speak for it, where one unit of the run's log success is worth `price`.

    The log of success is taken as linear around the arm `base`. How often a task comes weighs cost and success alike,
    so it cancels.
    """
    return _choose(*arms.means(rows), run, base, price)


def joint(arms: Arms, run: list[Kind], base: int, seed: int) -> dict[str, int]:
    """The arm for each task: the cheapest run that succeeds as often as with the arm `base` alone.

    Which price is cross-validated within the training part: the best of noisy estimates promises too much.
    """
    order = np.random.default_rng(seed).permutation(arms.train)
    columns: Array = np.full((len(PRICES), len(arms.tasks)), base)
    for start in range(FOLDS):
        part = order[start::FOLDS]
        means = arms.means(np.setdiff1d(order, part))
        for position, price in enumerate(PRICES):
            chosen = _choose(*means, run, base, price)
            columns[position, part] = [chosen.get(task, base) for task in arms.tasks[part]]
    level = _tried(arms, run, order, np.full(len(order), base))
    tried = [_tried(arms, run, order, column[order]) for column in columns]
    good = [i for i, (succeeds, usd) in enumerate(tried) if succeeds >= level[0] and usd <= level[1]]
    if not good:
        return {task: base for kind in run for task in kind.shares}
    return at_price(arms, arms.train, run, base, PRICES[min(good, key=lambda i: tried[i][1])])


def node_by_node(arms: Arms, run: list[Kind], base: int) -> dict[str, int]:
    """For each task the cheapest arm that is at least as good on that very task."""
    scores, costs = arms.means(arms.train)
    return {
        task: int(np.where(scores[task] >= scores[task][base], costs[task], np.inf).argmin())
        for kind in run
        for task in kind.shares
    }


def _choose(
    scores: dict[str, Array], costs: dict[str, Array], run: list[Kind], base: int, price: float
) -> dict[str, int]:
    chosen = {}
    for kind in run:
        level = sum(share * scores[task][base] for task, share in kind.shares.items())
        for task in kind.shares:
            chosen[task] = int((costs[task] - price * scores[task] / level).argmin())
    return chosen


def _tried(arms: Arms, run: list[Kind], rows: Array, columns: Array) -> tuple[float, float]:
    names = arms.tasks[rows]
    scores, costs = arms.scores[rows, columns], arms.costs_usd[rows, columns]
    tasks = {task for kind in run for task in kind.shares}
    means = {task: scores[names == task].mean() for task in tasks}
    prices = {task: costs[names == task].mean() for task in tasks}
    return float(success(run, means)), float(cost_usd(run, prices))
