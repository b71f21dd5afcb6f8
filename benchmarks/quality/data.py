"""Recordings as columns: each file is read once in a process, and each of its texts is turned into features once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from benchmarks.quality.text import TextFeatures, count_words

from taskrouter.decision import Plan
from taskrouter.evaluation.recordings import Recording, read_recordings
from taskrouter.evaluation.replay import serve

Array: TypeAlias = Any
"""A numpy array."""
SHARE = 0.7
"""Of the prompts, to learn from."""


class Result(NamedTuple):
    """What a policy made of the test prompts of a trial, row by row. Expectations where a coin is tossed."""

    scores: Array
    costs_usd: Array
    calls: Array


class Grid:
    """One recording: scores and costs as arrays of prompts by models."""

    def __init__(self, name: str, recording: Recording) -> None:
        self.name = name
        self.recording = recording
        self.models = recording.models
        outcomes = [[prompt.outcomes[model] for model in self.models] for prompt in recording.prompts]
        self.scores: Array = np.array([[outcome.score for outcome in row] for row in outcomes])
        self.costs_usd: Array = np.array([[outcome.cost_usd for outcome in row] for row in outcomes])
        self.tasks: Array = np.array([prompt.task or "" for prompt in recording.prompts])
        self.row_of = {prompt.id: row for row, prompt in enumerate(recording.prompts)}

    def __len__(self) -> int:
        return len(self.recording.prompts)

    @cached_property
    def texts(self) -> list[str]:
        """What a text router reads: extracts of the system prompt and of the last user message."""
        return [f"{p.step.view.system}\n{p.step.view.user}" for p in self.recording.prompts]

    @cached_property
    def words(self) -> Any:
        """How often each text has each word and each pair of words, as a sparse matrix."""
        return count_words(self.texts)

    @cached_property
    def has_answers(self) -> bool:
        """Whether any answer was recorded, so that models can be seen to agree."""
        return any(o.answer is not None for p in self.recording.prompts for o in p.outcomes.values())

    @cached_property
    def _tiers(self) -> dict[str, Array]:
        return {}

    def tiers(self, classifier: str, classify: Callable[[Recording, str], Any]) -> Array:
        """The tier that a foreign classifier gives each prompt; asked once, for it sees no label."""
        if classifier not in self._tiers:
            self._tiers[classifier] = np.array(asyncio.run(classify(self.recording, classifier)))
        return self._tiers[classifier]

    def served(self, plan: Plan, rows: Array) -> Result:
        """Carry a plan out on these prompts."""
        return gather([serve(plan, self.recording.prompts[row]) for row in rows])

    def part(self, rows: Array) -> Recording:
        """These prompts as a recording."""
        return replace(self.recording, prompts=tuple(self.recording.prompts[row] for row in rows))


@dataclass(frozen=True)
class Trial:
    """Prompts to learn from, prompts to be judged on, and the model to be compared with."""

    grid: Grid
    train: Array
    """Rows of the grid."""
    test: Array
    seed: int
    incumbent: int
    """The column of the best model on the training prompts, of equals the cheaper, unless it was named."""

    @property
    def incumbent_name(self) -> str:
        """The model's name."""
        return self.grid.models[self.incumbent]

    @cached_property
    def train_part(self) -> Recording:
        """The training prompts."""
        return self.grid.part(self.train)

    @cached_property
    def test_part(self) -> Recording:
        """The test prompts."""
        return self.grid.part(self.test)

    @cached_property
    def text(self) -> TextFeatures:
        """Features whose weights were learned from the training texts alone."""
        return TextFeatures(self.grid.words, self.train, self.test, self.seed)

    @cached_property
    def base(self) -> Result:
        """The incumbent on the test prompts."""
        return self.pick(np.full(len(self.test), self.incumbent))

    def pick(self, models: Array) -> Result:
        """One model for each test prompt, as columns of the grid."""
        return Result(
            self.grid.scores[self.test, models], self.grid.costs_usd[self.test, models], np.ones(len(self.test))
        )

    def serve(self, plans: Sequence[Plan]) -> Result:
        """One plan for each test prompt, every call charged."""
        return gather([serve(plan, prompt) for plan, prompt in zip(plans, self.test_part.prompts, strict=True)])


def gather(served: Sequence[Any]) -> Result:
    """Turn what was served, prompt by prompt, into columns."""
    rows = np.array([(one.score, one.cost_usd, one.calls) for one in served]).reshape(-1, 3)
    return Result(rows[:, 0], rows[:, 1], rows[:, 2])


def trial_of(grid: Grid, train: Array, test: Array, seed: int, *, incumbent: int | None = None) -> Trial:
    """Make a trial; unless an incumbent is given it is the best on the training prompts."""
    train, test = np.asarray(train), np.asarray(test)
    chosen = best_model(grid, train) if incumbent is None else incumbent
    return Trial(grid, train, test, seed, chosen)


def best_model(grid: Grid, rows: Array) -> int:
    """The column of the best model on these prompts; of equals the cheaper."""
    scores, costs_usd = grid.scores[rows].mean(axis=0), grid.costs_usd[rows].mean(axis=0)
    return min(range(len(grid.models)), key=lambda m: (-scores[m], costs_usd[m], grid.models[m]))


def random_trial(grid: Grid, seed: int) -> Trial:
    """The split that `taskrouter evaluate --split 0.7 --seed SEED` makes."""
    parts = grid.recording.split(SHARE, seed=seed)
    train, test = (np.array([grid.row_of[prompt.id] for prompt in part.prompts]) for part in parts)
    return trial_of(grid, train, test, seed)


@cache
def read_grid(path: Path) -> Grid:
    """Read a file, once in a process."""
    return Grid(path.name.removesuffix(".gz").removesuffix(".jsonl"), read_recordings([path]))


def find(folder: Path) -> dict[str, Path]:
    """The recordings in a folder, by their names without suffixes."""
    return {p.name.split(".jsonl")[0]: p for p in sorted(folder.glob("*.jsonl*"))}
