"""Learning while serving: thousands of steps, and of each only the outcome of what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.quality import ours
from benchmarks.quality.bandits import Exp3, Frozen, Thompson, all_models, five_arms
from benchmarks.quality.data import Array, Grid, best_model, read_grid
from benchmarks.quality.gated import Gated
from benchmarks.quality.jobs import Job
from benchmarks.quality.plugs import MakeLearner, OnlineLearner, Pool, Proposal, Proposals
from benchmarks.quality.section import Section, Table, Target, target_cell

from taskrouter.decision import Plan
from taskrouter.evaluation.recordings import Prompt
from taskrouter.evaluation.replay import agree, serve
from taskrouter.evaluation.situations import Situation

NAME = "online"
TITLE = "Online learning: delta and saving over all steps so far"
RECORDING = "agent_mix"
OURS = "gated"
LEARNERS: dict[str, MakeLearner] = {OURS: Gated}
"""The router's online learners by name; `gated` is held against the targets."""
STEPS, CHECKPOINTS = 5000, (200, 1000, 5000)
SEEDS = range(5)
FROZEN_LABELS = 50
TARGETS = {200: Target(0.0), 1000: Target(0.0), 5000: Target(0.0, 0.48)}
NOTES = (
    f"{STEPS} steps drawn with replacement, each task as often as in the recording, {len(SEEDS)} streams; in brackets "
    "the worst and the best stream. The incumbent is the best model on the recording. Every call is charged.",
    f"frozen table: {FROZEN_LABELS} labels per task, of every model, beforehand and not charged; it is served other "
    "prompts than those.",
)


class _Stretch(NamedTuple):
    delta_points: float
    saving: float


def jobs(files: dict[str, Path]) -> list[Job]:
    """One for each stream."""
    return [Job(measure, (files[RECORDING], seed)) for seed in SEEDS] if RECORDING in files else []


def measure(path: Path, seed: int) -> dict[str, list[_Stretch]]:
    """Send one stream through every learner."""
    grid = read_grid(path)
    base = best_model(grid, np.arange(len(grid)))
    pool = Pool(grid.models, grid.models[base], dict(zip(grid.models, grid.costs_usd.mean(axis=0), strict=True)))
    labelled = _labelled(grid, seed)
    rest = np.setdiff1d(np.arange(len(grid)), labelled)
    stream = np.random.default_rng(seed).choice(rest, STEPS, p=_weights(grid, rest))
    seen = ours.situations(grid.recording, grid.recording, pool.incumbent)
    makers: dict[str, Callable[[], OnlineLearner]] = {
        "Thompson, all models": lambda: Thompson(pool, all_models(pool), seed),
        "EXP3, all models": lambda: Exp3(pool, all_models(pool), seed),
        "Thompson, five arms": lambda: Thompson(pool, five_arms(pool), seed),
        f"frozen table, k = {FROZEN_LABELS}": lambda: Frozen(seen, ours.learned_plans(grid, labelled, base, seed)),
    }
    makers |= {name: _bound(make, pool, seed) for name, make in LEARNERS.items()}
    return {name: _run(make(), seen, grid, stream, base) for name, make in makers.items()}


def _bound(make: MakeLearner, pool: Pool, seed: int) -> Callable[[], OnlineLearner]:
    return lambda: make(pool, seed)


def _labelled(grid: Grid, seed: int) -> Array:
    draws = np.random.default_rng(1000 + seed)
    half = [draws.permutation(np.flatnonzero(grid.tasks == task)) for task in np.unique(grid.tasks)]
    return np.concatenate([rows[: min(FROZEN_LABELS, len(rows) // 2)] for rows in half])


def _weights(grid: Grid, rest: Array) -> Array:
    """Chances of the prompts that are not labelled: each task keeps its share of the recording."""
    tasks, numbers, counts = np.unique(grid.tasks, return_inverse=True, return_counts=True)
    weights = (counts / np.bincount(numbers[rest], minlength=len(tasks)))[numbers[rest]]
    return weights / weights.sum()


def _run(learner: OnlineLearner, situations: list[Situation], grid: Grid, stream: Array, base: int) -> list[_Stretch]:
    found = np.zeros((len(stream), 2))
    for step, row in enumerate(stream):
        choice = learner.choose(situations[row])
        served = serve(choice.plan, grid.recording.prompts[row])
        learner.observe(situations[row], choice, served, _proposals(choice.plan, grid.recording.prompts[row]))
        found[step] = served.score, served.cost_usd
    scores, costs_usd = grid.scores[stream, base], grid.costs_usd[stream, base]
    return [
        _Stretch(
            float(100 * (found[:end, 0].mean() - scores[:end].mean())),
            float(1 - found[:end, 1].sum() / costs_usd[:end].sum()),
        )
        for end in CHECKPOINTS
    ]


def _proposals(plan: Plan, prompt: Prompt) -> Proposals:
    if plan.kind != "agree":
        return {}
    one, other, judge = (prompt.outcomes[model] for model in plan.models)
    taken = one if agree(one, other) else judge
    return {
        model: Proposal(taken.answer is not None and outcome.answer == taken.answer, outcome.cost_usd)
        for model, outcome in zip(plan.models[:2], (one, other), strict=True)
    }


def section(found: list[dict[str, list[_Stretch]]]) -> Section:
    """One table; a column for each checkpoint."""
    rows, checks = [], {}
    data: dict[str, Any] = {}
    for name in found[0]:
        row, told = [name], []
        data[name] = {}
        for position, end in enumerate(CHECKPOINTS):
            deltas, savings = np.array([one[name][position] for one in found]).T
            target = TARGETS[end] if name == OURS else None
            row.append(f"{_spread(deltas, '+z.1f')} / {_spread(100 * savings, 'z.0f')}")
            if target is not None:
                told.append(target_cell(target, deltas.mean(), savings.mean()))
                checks[f"{RECORDING}, {end} steps: {target}"] = target.met(deltas.mean(), savings.mean())
            data[name][str(end)] = {"delta_points": deltas.tolist(), "saving": savings.tolist()}
        rows.append([*row, "; ".join(told)])
    if OURS not in found[0]:
        checks = {f"{RECORDING}, {end} steps: {target} (no learner yet)": False for end, target in TARGETS.items()}
    headings = ("learner", *(f"after {end:,} steps" for end in CHECKPOINTS), "target")
    table = Table(title=f"{RECORDING}: delta, points / saving, %", headings=headings, rows=rows)
    return Section(name=NAME, title=TITLE, tables=[table], data=data, notes=NOTES, checks=checks)


def _spread(values: Any, form: str) -> str:
    return f"{values.mean():{form}} [{values.min():{form}}, {values.max():{form}}]"
