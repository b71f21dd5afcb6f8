"""Kinds of step that were never seen: learn from half of the tasks of one recording, be judged on the others."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.quality import ours
from benchmarks.quality.data import Grid, Result, Trial, read_grid, trial_of
from benchmarks.quality.intervals import Figure, figures
from benchmarks.quality.jobs import Job
from benchmarks.quality.peers import cluster, factorisation, knn, litellm_tiers, logistic, tables
from benchmarks.quality.section import Section, Target, checks_of, policy_table

NAME = "categories"
TITLE = "Tasks left out: learn from half of the tasks, be judged on the others"
RECORDING = "tool_calls"
DRAWS = 6
TARGETS = {"safe": Target(-0.5, 0.45)}


def jobs(files: dict[str, Path]) -> list[Job]:
    """One job."""
    return [Job(measure, (files[RECORDING],))] if RECORDING in files else []


def measure(path: Path) -> dict[str, Figure]:
    """Try everything on every draw."""
    grid = read_grid(path)
    trials = [_trial(grid, draw) for draw in range(DRAWS)]
    results: dict[str, list[Result]] = defaultdict(list)
    for trial in trials:
        found = ours.results(trial)
        for peer in (tables, knn, logistic, cluster, factorisation, litellm_tiers):
            found |= peer.results(trial)
        for name, result in found.items():
            results[name].append(result)
    return figures(trials, results)


def _trial(grid: Grid, draw: int) -> Trial:
    tasks = sorted(set(grid.tasks))
    random.Random(draw).shuffle(tasks)
    known = np.isin(grid.tasks, tasks[: len(tasks) // 2])
    return trial_of(grid, np.flatnonzero(known), np.flatnonzero(~known), draw)


def section(found: list[dict[str, Figure]]) -> Section:
    """One table."""
    measured: dict[str, Any] = found[0]
    return Section(
        name=NAME,
        title=TITLE,
        tables=[policy_table(f"{RECORDING}, {DRAWS} draws", measured, TARGETS)],
        data={name: figure._asdict() for name, figure in measured.items()},
        checks=checks_of(RECORDING, measured, TARGETS),
    )
