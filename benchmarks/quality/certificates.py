"""Certificates: is the harm below eps as often as was promised, and what is saved for it?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmarks.quality import ours
from benchmarks.quality.bounds import BOUNDS, FIT_SHARE, Votes
from benchmarks.quality.data import Array, Grid, best_model, gather, read_grid
from benchmarks.quality.jobs import Job
from benchmarks.quality.plugs import CERTIFIERS
from benchmarks.quality.section import Section, Table

from taskrouter.evaluation.recordings import Prompt
from taskrouter.evaluation.replay import serve
from taskrouter.evaluation.situations import Situation

NAME = "certificates"
TITLE = "Certificates at confidence 0.9"
CONFIDENCE = 0.9
DRAWS, PER_JOB = 200, 50
SIZES = {"tool_calls": 600, "agent_mix": 1000}
"""Prompts in a sample."""
EPS = (0.01, 0.02)
OURS = "certified"
MOST_VIOLATIONS, SAVING = 1 - CONFIDENCE, 0.60
SAVING_ON, SAVING_EPS = "tool_calls", 0.02
NOTES = (
    "Harm: the share of prompts on which the incumbent scores more than what was answered. 200 samples, drawn with "
    "replacement, so that the recording is the whole population and the true harm is known exactly; a violation is a "
    "true harm above eps. Nothing certified: the incumbent serves, nothing is saved.",
    f"Beside ours: votes of three cheap models (chosen on {FIT_SHARE:.0%} of the sample), rules tried from strict to "
    "lax until the first that a bound does not certify on the rest.",
)


class _Drawn(NamedTuple):
    certified: bool
    harm: float
    saving: float


def jobs(files: dict[str, Path]) -> list[Job]:
    """Several for each recording."""
    return [Job(measure, (files[name], start)) for name in SIZES if name in files for start in range(0, DRAWS, PER_JOB)]


def measure(path: Path, start: int) -> tuple[str, dict[tuple[str, float], list[_Drawn]]]:
    """Certify on some of the samples."""
    grid = read_grid(path)
    base = best_model(grid, np.arange(len(grid)))
    seen = ours.situations(grid.recording, grid.recording, grid.models[base]) if CERTIFIERS else []
    found: dict[tuple[str, float], list[_Drawn]] = defaultdict(list)
    for draw in range(start, start + PER_JOB):
        sample = np.random.default_rng(draw).integers(len(grid), size=SIZES[grid.name])
        cut = round(FIT_SHARE * len(sample))
        votes = Votes(grid, base, sample[:cut])
        for eps in EPS:
            for name, bound in BOUNDS.items():
                harmed = [int(_harm(grid, base, scores)[sample[cut:]].sum()) for scores in votes.scores]
                passed = [bound(count, len(sample) - cut, CONFIDENCE) <= eps for count in harmed]
                last = passed.index(False) - 1 if False in passed else len(passed) - 1
                result = None if last < 0 else (votes.scores[last], votes.costs_usd[last])
                found[name, eps].append(_judge(grid, base, result))
            for name in CERTIFIERS:
                found[name, eps].append(_judge(grid, base, _certified(name, grid, base, sample, eps, seen)))
    return grid.name, dict(found)


def _harm(grid: Grid, base: int, scores: Array) -> Array:
    return scores < grid.scores[:, base]


def _judge(grid: Grid, base: int, result: tuple[Array, Array] | None) -> _Drawn:
    if result is None:
        return _Drawn(False, 0.0, 0.0)
    scores, costs_usd = result
    saving = 1 - costs_usd.sum() / grid.costs_usd[:, base].sum()
    return _Drawn(True, float(_harm(grid, base, scores).mean()), float(saving))


def _certified(
    name: str, grid: Grid, base: int, sample: Array, eps: float, seen: Sequence[Situation]
) -> tuple[Array, Array] | None:
    make = CERTIFIERS[name]
    policy = make(grid.part(sample), [seen[row] for row in sample], grid.models[base], eps=eps, confidence=CONFIDENCE)
    if policy is None:
        return None
    prompts: tuple[Prompt, ...] = grid.recording.prompts
    plans = policy.plans(seen)
    served = gather([serve(plan, prompt) for plan, prompt in zip(plans, prompts, strict=True)])
    return served.scores, served.costs_usd


def section(found: list[tuple[str, dict[tuple[str, float], list[_Drawn]]]]) -> Section:
    """One row for each bound, recording and eps."""
    merged: dict[tuple[str, str, float], list[_Drawn]] = defaultdict(list)
    for recording, part in found:
        for (name, eps), drawn in part.items():
            merged[recording, name, eps] += drawn
    rows, checks, data = [], {}, {}
    for (recording, name, eps), drawn in merged.items():
        violations = float(np.mean([one.harm > eps for one in drawn]))
        saving = float(np.mean([one.saving for one in drawn]))
        certified = float(np.mean([one.certified for one in drawn]))
        rows.append(
            [
                f"{recording}, eps {eps:.0%}: {name}",
                f"{100 * violations:.1f}",
                f"{100 * saving:z.0f}",
                f"{100 * certified:z.0f}",
                f"{100 * np.mean([one.harm for one in drawn]):.2f}",
            ]
        )
        data[f"{recording}, {eps}, {name}"] = {"violations": violations, "saving": saving, "certified": certified}
        if name == OURS:
            checks[f"{recording}, eps {eps:.0%}: violations at most {MOST_VIOLATIONS:.0%}"] = (
                violations <= MOST_VIOLATIONS + 1e-9
            )
            if (recording, eps) == (SAVING_ON, SAVING_EPS):
                checks[f"{recording}, eps {eps:.0%}: saving {SAVING:.0%}"] = saving >= SAVING
    if not any(name == OURS for _, name, _ in merged):
        checks["no certifier yet"] = False
    headings = ("certificate", "violations, %", "saving, %", "certified, %", "true harm, %")
    tables = [Table(title=f"{DRAWS} samples; violations are to be at most 10 %", headings=headings, rows=rows)]
    return Section(name=NAME, title=TITLE, tables=tables, data=data, notes=NOTES, checks=checks)
