"""Without a label of one's own: `balanced` on data sets that its priors have not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.quality import ours
from benchmarks.quality.data import Grid, read_grid, trial_of
from benchmarks.quality.intervals import Figure, figures
from benchmarks.quality.jobs import Job
from benchmarks.quality.plugs import TRANSFERS, Transfer
from benchmarks.quality.section import Section, Table, cells

from taskrouter.evaluation.recordings import Recording

NAME = "transfer"
TITLE = "Priors on data sets that they have not seen"
LIMIT = -2.0
ROUNDING = 0.05
"""Of figures that are shown with one decimal."""
SHIPPED, OURS = "balanced, as shipped", "balanced"
NOTES = (
    "Every prompt of a recording is judged; what plans lose was measured on the other recordings, without those that "
    "share prompts with it; models are known by published figures. The incumbent is the best model on the recording. "
    "expected: what the policy announces, with the interval it gives for that; the difference found is to lie in it.",
)


def jobs(files: dict[str, Path]) -> list[Job]:
    """One for each recording."""
    paths = tuple(files.values())
    return [Job(measure, (path, paths)) for path in paths]


def measure(path: Path, paths: tuple[Path, ...]) -> dict[str, Any]:
    """Judge one recording by what the others say."""
    grid = read_grid(path)
    every = np.arange(len(grid))
    trial = trial_of(grid, every, every, 0)
    others = [other.recording for other in map(read_grid, paths) if not _share(grid, other)]
    transfers: dict[str, Transfer] = {SHIPPED: _shipped, OURS: ours.elsewhere, **TRANSFERS}
    found = {}
    for name, transfer in transfers.items():
        announced = transfer(others, grid.recording, trial.incumbent_name)
        result = trial.serve(announced.plans)
        figure = figures([trial], {name: [result]})[name]
        found[name] = (figure, announced.expected_loss_points, announced.within_points)
    return {"name": grid.name, "found": found, "others": len(others)}


def _shipped(others: list[Recording], judged: Recording, incumbent: str) -> Any:  # noqa: ARG001 - a Transfer's signature
    return ours.announced(judged, incumbent)


def _share(one: Grid, other: Grid) -> bool:
    return not set(one.texts).isdisjoint(other.texts)


def section(found: list[dict[str, Any]]) -> Section:
    """One row for each recording and source of priors."""
    rows, checks = [], {}
    data: dict[str, Any] = {}
    for one in found:
        name = one["name"]
        data[name] = {}
        for source, (figure, loss, within) in one["found"].items():
            honest = _honest(figure, within)
            expected = f"{-loss:+z.1f} ({-within[1]:+z.1f} to {-within[0]:+z.1f})"
            rows.append([f"{name}: {source}", *cells(figure), expected, "yes" if honest else "NO"])
            data[name][source] = {**figure._asdict(), "expected_loss_points": loss, "within_points": within}
            if source == OURS:
                checks[f"{name}: {source} never below {LIMIT:+.0f}"] = figure.delta_points >= LIMIT
                checks[f"{name}: {source} loses what it expects"] = honest
    headings = ("recording", "delta, points", "saving, %", "expected, points", "in the interval")
    table = Table(title=f"all prompts of a recording; limit {LIMIT:+.0f} points", headings=headings, rows=rows)
    return Section(name=NAME, title=TITLE, tables=[table], data=data, notes=NOTES, checks=checks)


def _honest(figure: Figure, within: tuple[float, float]) -> bool:
    low, high = within
    return low - ROUNDING <= -figure.delta_points <= high + ROUNDING
