"""How many labels it takes: k per task, judged on all the rest."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from benchmarks.quality import ours
from benchmarks.quality.data import Grid, Result, Trial, best_model, read_grid, trial_of
from benchmarks.quality.intervals import Figure, figures
from benchmarks.quality.jobs import Job
from benchmarks.quality.peers import cluster, knn, logistic, tables
from benchmarks.quality.section import Section, Target, checks_of, policy_table

NAME = "labels"
TITLE = "Label curve: k labels per task, judged on the rest"
RECORDING = "mixed_tasks"
DRAWS = 5
TARGETS = {5: Target(-1.9, 0.35), 20: Target(0.1, 0.51), 50: Target(1.1, 0.73), 200: Target(0.9, 0.82)}
MOST = 0.7
"""Of a small task no more than this share is learned from."""
NOTES = (
    "The incumbent is the best model on the whole recording: what a user runs today does not depend on how many labels "
    "he has.",
)


def jobs(files: dict[str, Path]) -> list[Job]:
    """One for each k."""
    return [Job(measure, (files[RECORDING], k)) for k in reversed(TARGETS)] if RECORDING in files else []


def measure(path: Path, k: int) -> tuple[int, dict[str, Figure]]:
    """Try what learns from labels on every draw."""
    grid = read_grid(path)
    trials = [_trial(grid, k, draw) for draw in range(DRAWS)]
    results: dict[str, list[Result]] = defaultdict(list)
    for trial in trials:
        found = {"learned": ours.learned(trial, traffic=True)} | tables.results(trial)
        for peer in (knn, logistic, cluster):
            found |= peer.results(trial, tune=False)
        for name, result in found.items():
            results[name].append(result)
    return k, figures(trials, results)


def _trial(grid: Grid, k: int, draw: int) -> Trial:
    draws = np.random.default_rng(draw)
    train = []
    for task in np.unique(grid.tasks):
        rows = draws.permutation(np.flatnonzero(grid.tasks == task))
        train.append(rows[: min(k, int(MOST * len(rows)))])
    known = np.concatenate(train)
    rest = np.setdiff1d(np.arange(len(grid)), known)
    return trial_of(grid, known, rest, draw, incumbent=best_model(grid, np.arange(len(grid))))


def section(found: list[tuple[int, dict[str, Figure]]]) -> Section:
    """One table for each k."""
    shown, data = [], {}
    checks: dict[str, bool] = {}
    for k, measured in sorted(found, key=lambda one: one[0]):
        wanted = {"learned": TARGETS[k]}
        shown.append(policy_table(f"{RECORDING}, k = {k}, {DRAWS} draws", measured, wanted))
        checks |= checks_of(f"{RECORDING}, k = {k}", measured, wanted)
        data[str(k)] = {name: figure._asdict() for name, figure in measured.items()}
    return Section(name=NAME, title=TITLE, tables=shown, data=data, notes=NOTES, checks=checks)
