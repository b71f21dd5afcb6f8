"""Whole runs: a run succeeds if all its steps do, so what counts is where in the run money buys success."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.quality import ours
from benchmarks.quality.allocating import PRICES, Arms, at_price, joint, node_by_node
from benchmarks.quality.compositions import COMPOSITIONS, Kind, composed, cost_usd, steps, success
from benchmarks.quality.data import Array, Grid, read_grid
from benchmarks.quality.jobs import Job
from benchmarks.quality.plugs import RUN_PLANNERS
from benchmarks.quality.section import Section, Table, target_cell

from taskrouter.learning import Option, hull

NAME = "runs"
TITLE = "Whole runs: saving at equal run success"
RECORDING = "agent_mix"
FOLDS = 5
RESAMPLES = 500
EQUAL, TUNED, NODES, OURS = "joint, at equal success", "joint, tuned in training", "node by node", "joint"
NOTES = (
    f"Cross-fitting in {FOLDS} folds: every prompt is judged once, by plans that were chosen on the other folds. Run "
    "success is the product over the steps, drawn independently; delta is its difference to the best single model on "
    "such runs (of the whole recording, so the strictest), in points. Intervals: 95 %, bootstrap over prompts.",
    "at equal success: the curve that one price of success for the whole run traces out, read where it succeeds as "
    "often as the best single model. tuned in training: the price is chosen by cross-validation on the other folds. "
    "node by node: each task must be as good as before by itself.",
    "vs hull: against a coin between single models with the same run success. vs dearest: against the dearest model, "
    "which alone says little.",
)


class _Levels(NamedTuple):
    """Success and cost of a run, the first entry as measured, the others resampled."""

    success: Array
    cost_usd: Array


class _Chosen:
    """What each prompt was served when it was left out."""

    def __init__(self, prompts: int) -> None:
        self.scores: Array = np.zeros(prompts)
        self.costs_usd: Array = np.zeros(prompts)

    def fill(self, arms: Arms, rows: Array, choice: dict[str, int], base: int) -> None:
        columns = np.array([choice.get(task, base) for task in arms.tasks[rows]])
        self.scores[rows], self.costs_usd[rows] = arms.scores[rows, columns], arms.costs_usd[rows, columns]


class _Judge:
    """Success and cost of runs from prompt by prompt outcomes, on all resamples."""

    def __init__(self, grid: Grid, run: list[Kind]) -> None:
        drawn = np.random.default_rng(0).multinomial(len(grid), np.full(len(grid), 1 / len(grid)), size=RESAMPLES)
        weights = np.vstack([np.ones(len(grid)), drawn])
        self._run = run
        self._rows = {t: np.flatnonzero(grid.tasks == t) for kind in run for t in kind.shares}
        self._weights = {t: weights[:, rows] / weights[:, rows].sum(axis=1)[:, None] for t, rows in self._rows.items()}

    def levels(self, scores: Array, costs_usd: Array) -> _Levels:
        """Judge columns of outcomes: one policy, or several side by side."""
        means = [
            {t: self._weights[t] @ values[rows] for t, rows in self._rows.items()} for values in (scores, costs_usd)
        ]
        return _Levels(success(self._run, means[0]), cost_usd(self._run, means[1]))


def jobs(files: dict[str, Path]) -> list[Job]:
    """One for each composition."""
    return [Job(measure, (files[RECORDING], name)) for name in COMPOSITIONS] if RECORDING in files else []


def measure(path: Path, name: str) -> tuple[str, dict[str, Any]]:
    """Plan and judge one composition."""
    grid = read_grid(path)
    run = composed(grid)[name]
    judge = _Judge(grid, run)
    alone = judge.levels(grid.scores, grid.costs_usd)
    base = int(alone.success[0].argmax())
    chosen, curve = _cross_fit(grid, run, base)
    levels = {policy: judge.levels(one.scores, one.costs_usd) for policy, one in chosen.items()}
    level = _Levels(alone.success[:, base], alone.cost_usd[:, base])
    traced = judge.levels(*(np.column_stack(columns) for columns in zip(*curve, strict=True)))
    levels[EQUAL] = _Levels(level.success, _read_off(traced, level))
    dearest = int(alone.cost_usd[0].argmax())
    points = _Levels(alone.success[:1], alone.cost_usd[:1])
    found: dict[str, Any] = {"best": grid.models[base], "success": float(level.success[0])}
    for policy in sorted(levels, key=lambda policy: policy not in (OURS, EQUAL)):
        one = levels[policy]
        deltas, savings = 100 * (one.success - level.success), 1 - one.cost_usd / level.cost_usd
        hull_usd = _read_off(points, _Levels(one.success[:1], np.array([np.inf])))
        found[policy] = {
            "delta_points": float(deltas[0]),
            "delta_ci": np.percentile(deltas[1:], (2.5, 97.5)).tolist(),
            "saving": float(savings[0]),
            "saving_ci": np.percentile(savings[1:], (2.5, 97.5)).tolist(),
            "saving_against_hull": float(1 - one.cost_usd[0] / hull_usd[0]),
            "saving_against_dearest": float(1 - one.cost_usd[0] / alone.cost_usd[0, dearest]),
        }
    return name, found


def _cross_fit(grid: Grid, run: list[Kind], base: int) -> tuple[dict[str, _Chosen], list[tuple[Array, Array]]]:
    order = np.random.default_rng(0).permutation(len(grid))
    chosen = {policy: _Chosen(len(grid)) for policy in (TUNED, NODES, *RUN_PLANNERS)}
    curve = [_Chosen(len(grid)) for _ in PRICES]
    for fold in range(FOLDS):
        test = np.sort(order[fold::FOLDS])
        train = np.setdiff1d(order, test)
        arms = Arms(grid, train, base)
        for one, price in zip(curve, PRICES, strict=True):
            one.fill(arms, test, at_price(arms, train, run, base, price), base)
        chosen[TUNED].fill(arms, test, joint(arms, run, base, fold), base)
        chosen[NODES].fill(arms, test, node_by_node(arms, run, base), base)
        part = grid.part(train)
        seen = ours.situations(part, part, grid.models[base]) if RUN_PLANNERS else []
        for policy, planner in RUN_PLANNERS.items():
            plans = planner(part, seen, grid.models[base], steps(run))
            for task, plan in plans.items():
                rows = test[grid.tasks[test] == task]
                served = grid.served(plan, rows)
                chosen[policy].scores[rows], chosen[policy].costs_usd[rows] = served.scores, served.costs_usd
    return chosen, [(one.scores, one.costs_usd) for one in curve]


def _read_off(traced: _Levels, wanted: _Levels) -> Array:
    """What a coin between two points of a curve costs that succeeds as often as wanted.

    Where none does it costs what is wanted, or the dearest point of the curve if that is less.
    """
    found = []
    for scores, costs, goal, most in zip(traced.success, traced.cost_usd, *wanted, strict=True):
        options = {str(i): Option(float(s), float(c)) for i, (s, c) in enumerate(zip(scores, costs, strict=True))}
        line = [options[name] for name in hull(options)]
        usd = line[0].cost_usd if goal <= line[0].score else min(most, line[-1].cost_usd)
        for low, high in pairwise(line):
            if low.score < goal <= high.score:
                share = (goal - low.score) / (high.score - low.score)
                usd = min(most, low.cost_usd + share * (high.cost_usd - low.cost_usd))
        found.append(usd)
    return np.array(found)


def section(found: list[tuple[str, dict[str, Any]]]) -> Section:
    """One row for each composition and way to plan it."""
    rows, checks = [], {}
    held = OURS if OURS in found[0][1] else EQUAL
    for run, measured in found:
        target = COMPOSITIONS[run][1]
        for policy, one in measured.items():
            if not isinstance(one, dict):
                continue
            wanted = target if policy == held else None
            if wanted is not None:
                checks[f"{run}: {policy} {wanted}"] = wanted.met(one["delta_points"], one["saving"])
            low, high = one["delta_ci"]
            cheap, dear = one["saving_ci"]
            rows.append(
                [
                    f"{run}: {policy}",
                    f"{measured['best']}, {100 * measured['success']:z.0f} %",
                    f"{one['delta_points']:+z.1f} [{low:+z.1f}, {high:+z.1f}]",
                    f"{100 * one['saving']:z.0f} [{100 * cheap:z.0f}, {100 * dear:z.0f}]",
                    f"{100 * one['saving_against_hull']:z.0f}",
                    f"{100 * one['saving_against_dearest']:z.0f}",
                    target_cell(wanted, one["delta_points"], one["saving"]),
                ]
            )
    headings = ("run", "best single succeeds", "delta, points", "saving, %", "vs hull, %", "vs dearest, %", "target")
    table = Table(title=RECORDING, headings=headings, rows=rows)
    return Section(name=NAME, title=TITLE, tables=[table], data=dict(found), notes=NOTES, checks=checks)
