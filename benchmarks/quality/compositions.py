"""Runs made of recorded steps: which kinds of step they have, and how often a run succeeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from benchmarks.quality.data import Array, Grid
from benchmarks.quality.section import Target

TOOLS, SIMPLE, MATH, CODE = "tools", "simple tools", "math", "code"
CALLS_TARGET, CODE_TARGET = Target(-1.0, 0.85), Target(-1.0, 0.60)
COMPOSITIONS: dict[str, tuple[dict[str, int], Target | None]] = {
    "8 simple tool calls": ({SIMPLE: 8}, CALLS_TARGET),
    "8 tool calls of all kinds": ({TOOLS: 8}, CALLS_TARGET),
    "6 tool calls, 2 math": ({TOOLS: 6, MATH: 2}, CALLS_TARGET),
    "4 tool calls, 3 math, 1 code": ({TOOLS: 4, MATH: 3, CODE: 1}, None),
    "4 tool calls, 4 code": ({TOOLS: 4, CODE: 4}, CODE_TARGET),
    "3 tool calls, 3 code, 2 math": ({TOOLS: 3, CODE: 3, MATH: 2}, CODE_TARGET),
}
"""What a run is made of, and what is to be reached: difference of run success in points, and saving."""


class Kind(NamedTuple):
    """Steps of one kind within a run."""

    steps: int
    shares: dict[str, float]
    """How often such a step is of each task."""


def composed(grid: Grid) -> dict[str, list[Kind]]:
    """The runs, in terms of the recording's tasks."""
    kinds = _kinds(grid)
    return {
        name: [Kind(count, kinds[kind]) for kind, count in parts.items()] for name, (parts, _) in COMPOSITIONS.items()
    }


def _kinds(grid: Grid) -> dict[str, dict[str, float]]:
    """Sort the tasks by what their prompts are: with tools; else with numbers for answers; else code."""
    sizes = Counter(grid.tasks.tolist())
    tools = {p.task or "" for p in grid.recording.prompts if p.step.tools}
    rest = {task for task in sizes if task not in tools}
    numbers = {task for task in rest if _numeric(grid, task)}
    largest = max(tools, key=lambda task: sizes[task])
    groups = {TOOLS: tools, SIMPLE: {largest}, MATH: numbers, CODE: rest - numbers}
    return {
        kind: {task: sizes[task] / sum(sizes[t] for t in tasks) for task in sorted(tasks)}
        for kind, tasks in groups.items()
    }


def _numeric(grid: Grid, task: str) -> bool:
    answers = [o.answer for p in grid.recording.prompts if p.task == task for o in p.outcomes.values() if o.answer]
    return sum(_is_number(answer) for answer in answers) > len(answers) / 2


def _is_number(answer: object) -> bool:
    try:
        return math.isfinite(float(str(answer)))
    except ValueError:
        return False


def success(run: list[Kind], scores: Mapping[str, Array]) -> Array:
    """How often a run succeeds whose steps are drawn independently, from the mean score on each task."""
    found: Array = np.array(1.0)
    for kind in run:
        found = found * sum(share * scores[task] for task, share in kind.shares.items()) ** kind.steps
    return found


def cost_usd(run: list[Kind], costs_usd: Mapping[str, Array]) -> Array:
    """What a run costs, from the mean cost on each task."""
    return sum(kind.steps * sum(s * costs_usd[task] for task, s in kind.shares.items()) for kind in run)


def steps(run: list[Kind]) -> dict[str, float]:
    """How many steps of each task a run has on average."""
    found: Counter[str] = Counter()
    for kind in run:
        for task, share in kind.shares.items():
            found[task] += kind.steps * share  # type: ignore[assignment] # counts may be fractions
    return dict(found)
