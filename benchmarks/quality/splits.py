"""Random splits of each recording: our policies beside the peers, every call charged."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.quality import ours
from benchmarks.quality.data import Result, random_trial, read_grid
from benchmarks.quality.intervals import Figure, figures
from benchmarks.quality.jobs import Job
from benchmarks.quality.peers import cluster, factorisation, knn, litellm_tiers, logistic, tables
from benchmarks.quality.section import Section, Table, Target, checks_of, policy_table

NAME = "splits"
TITLE = "Random splits: 70 % to learn from, 30 % to be judged on"
SEEDS = range(5)
LEARNED_SAVING = {"tool_calls": 0.75, "agent_mix": 0.65, "mixed_tasks": 0.80, "knowledge": 0.35, "code_and_math": 0.30}
SAFE = {
    "tool_calls": Target(0.0, 0.55),
    "mixed_tasks": Target(0.0),
    "knowledge": Target(0.0),
}
KEPT = 0.5
BALANCED_SAVING = {"agent_mix": 0.40, "mixed_tasks": 0.50}
NOTES = (
    "Means over five splits; intervals: 95 %, bootstrap over prompts, a prompt with its rows in all splits; "
    "x: significantly worse than the incumbent.",
    "tuned: the cheapest setting of the peer's knob that loses at most 1 point on training prompts that its fit has "
    "not seen; the incumbent where there is none. Without that word: as a user gets it.",
)


def targets(name: str, measured: dict[str, Figure]) -> dict[str, Target]:
    """What our policies are to reach on that recording; without the task, half of what is saved with it."""
    found = {"balanced": Target(-2.0, BALANCED_SAVING.get(name))}
    if name in SAFE:
        found["safe"] = SAFE[name]
    if name in LEARNED_SAVING:
        found["learned"] = Target(-1.0, LEARNED_SAVING[name])
        found[ours.BLIND] = Target(-1.0, KEPT * measured["learned"].saving)
    return found


def jobs(files: dict[str, Path]) -> list[Job]:
    """One for each recording, the largest first."""
    return [Job(measure, (path,)) for path in sorted(files.values(), key=lambda path: -path.stat().st_size)]


def measure(path: Path) -> dict[str, Any]:
    """Try everything on every split of one recording."""
    grid = read_grid(path)
    trials = [random_trial(grid, seed) for seed in SEEDS]
    results: dict[str, list[Result]] = defaultdict(list)
    for trial in trials:
        found = ours.results(trial)
        for peer in (tables, knn, logistic, cluster, factorisation, litellm_tiers):
            found |= peer.results(trial)
        for name, result in found.items():
            results[name].append(result)
    alone = {
        model: (float(grid.scores[:, m].mean()), float(grid.costs_usd[:, m].mean()))
        for m, model in enumerate(grid.models)
    }
    incumbents = [trial.incumbent_name for trial in trials]
    return {"name": grid.name, "figures": figures(trials, results), "singles": alone, "incumbents": incumbents}


def section(found: list[dict[str, Any]]) -> Section:
    """One table for each recording."""
    found = sorted(found, key=lambda one: str(one["name"]))
    shown, data = [_overview(found)], {}
    checks: dict[str, bool] = {}
    for one in found:
        name: str = one["name"]
        measured: dict[str, Figure] = one["figures"]
        wanted = targets(name, measured)
        incumbents = ", ".join(dict.fromkeys(one["incumbents"]))
        shown.append(policy_table(f"{name} (incumbent: {incumbents})", measured, wanted))
        checks |= checks_of(name, measured, wanted)
        data[name] = {**one, "figures": {policy: figure._asdict() for policy, figure in measured.items()}}
    return Section(name=NAME, title=TITLE, tables=shown, data=data, notes=NOTES, checks=checks, summary=shown[:1])


def _overview(found: list[dict[str, Any]]) -> Table:
    """Everything at a glance: difference in points / saving in percent."""
    rows = []
    for policy in found[0]["figures"]:
        figures_of = [one["figures"][policy] for one in found]
        rows.append([policy, *(f"{f.delta_points:+z.1f} / {100 * f.saving:z.0f}{' x' * f.worse}" for f in figures_of)])
    headings = ("policy", *(one["name"] for one in found))
    return Table(title="delta, points / saving, %; x: significantly worse", headings=headings, rows=rows)
