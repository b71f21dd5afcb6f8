"""What models have scored per step identity, shrunk towards what they score in general: `OutcomeTable`.

Twenty labels say little of a model on one kind of step; the same model's labels on all other steps say a bit more. The
table weighs the two as a parametric empirical Bayes estimate does (Efron and Morris, "Data analysis using Stein's
estimator and its generalizations", JASA 1975; Casella, "An introduction to empirical Bayes data analysis", The American
Statistician 1985): the more the identities differ from each other, compared with the noise of single labels, the less
one identity borrows from the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from taskrouter.config import validated

Path: TypeAlias = tuple[str, ...]
"""A step identity from general to specific, such as `("*", "tool_use", "billing/lookup")`; every prefix is a level that
the next one is shrunk towards."""

SCHEMA_VERSION: Literal[1] = 1
PRIOR_MEAN, PRIOR_LABELS = 0.5, 2.0
"""Belief about a model without any label: uniform between 0 and 1."""
DEFAULT_STRENGTH = 20.0
"""Labels that the level above is worth while there are too few identities to measure how much they differ."""
MIN_STRENGTH, MAX_STRENGTH = 1.0, 1000.0


class Estimate(NamedTuple):
    """What is believed of one model on one kind of step."""

    mean: float
    """Expected score, 0 to 1."""
    variance: float
    """Variance of that expectation, of a beta distribution with the same mean and weight: too wide for fractional
    scores rather than too narrow."""
    labels: int
    """Labels recorded for exactly this path."""
    cost_usd: float | None
    """Mean cost of a call in US dollars, on the most specific level that has one; None where none was recorded."""


class Cell:
    """Sums over the labels of one model on one path."""

    __slots__ = ("cost_sum_usd", "costs", "labels", "score_squares", "score_sum")

    def __init__(self) -> None:
        self.labels = 0
        self.score_sum = 0.0
        self.score_squares = 0.0
        self.costs = 0
        self.cost_sum_usd = 0.0

    def add(self, other: Cell) -> None:
        """Take in the labels of another cell."""
        self.labels += other.labels
        self.score_sum += other.score_sum
        self.score_squares += other.score_squares
        self.costs += other.costs
        self.cost_sum_usd += other.cost_sum_usd

    @property
    def mean(self) -> float:
        """Mean score."""
        return self.score_sum / self.labels

    @property
    def squared_error(self) -> float:
        """Sum of the squared differences from the mean score."""
        return max(0.0, self.score_squares - self.score_sum**2 / self.labels)


class OutcomeTable:
    """Scores and costs of models per step identity, with estimates that borrow from the levels above.

    `record` is cheap. The first `estimate` after a `record` measures anew how strongly to borrow, which takes one pass
    over all cells: record in batches where estimates are wanted within microseconds.
    """

    def __init__(self) -> None:
        self._recorded: dict[Path, dict[str, Cell]] = {}
        self._levels: dict[Path, dict[str, Cell]] = {}
        self._strengths: dict[int, float] | None = None

    def __len__(self) -> int:
        """Number of paths with labels of their own."""
        return len(self._recorded)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths that labels were recorded for, in the order of their first label."""
        return tuple(self._recorded)

    def record(self, path: Path, model: str, score: float, cost_usd: float | None = None) -> None:
        """Add one label.

        Raises:
            ValueError: the path is empty, the score is outside 0 to 1 or the cost is negative.
        """
        if not path:
            raise ValueError("a path needs at least one level, such as ('*', 'billing')")
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"score is {score!r}; a score lies between 0 and 1")
        if cost_usd is not None and not cost_usd >= 0.0:
            raise ValueError(f"cost_usd is {cost_usd!r}; a cost is not negative")
        label = Cell()
        label.labels, label.score_sum, label.score_squares = 1, score, score * score
        if cost_usd is not None:
            label.costs, label.cost_sum_usd = 1, cost_usd
        self._add(path, model, label)

    def merge(self, other: OutcomeTable) -> None:
        """Take in all labels of another table."""
        for path, model, cell in other._cells():
            self._add(path, model, cell)

    def estimate(self, path: Path, model: str) -> Estimate:
        """Return what is believed of the model on that path; an unseen path falls back to the level above it."""
        strengths = self._strengths = self._strengths or self._measure()
        mean, weight, labels, cost_usd = PRIOR_MEAN, PRIOR_LABELS, 0, None
        for depth in range(1, len(path) + 1):
            cell = self._levels.get(path[:depth], {}).get(model)
            borrowed = PRIOR_LABELS if depth == 1 else strengths.get(depth, DEFAULT_STRENGTH)
            labels = cell.labels if cell else 0
            mean = (borrowed * mean + (cell.score_sum if cell else 0.0)) / (borrowed + labels)
            weight = borrowed + labels
            if cell and cell.costs:
                cost_usd = cell.cost_sum_usd / cell.costs
        return Estimate(mean, mean * (1.0 - mean) / (weight + 1.0), labels, cost_usd)

    def labels(self, path: Path) -> int:
        """Return the number of labels on that path of the model that has most."""
        return max((cell.labels for cell in self._levels.get(path, {}).values()), default=0)

    def strength(self, depth: int) -> float:
        """Return how many labels the level above is worth to the paths of that depth (2 for `("*", x)`)."""
        self._strengths = self._strengths or self._measure()
        return self._strengths.get(depth, DEFAULT_STRENGTH)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON-ready values, with a schema version."""
        cells = [
            {
                "path": list(path),
                "model": model,
                "labels": cell.labels,
                "score_sum": cell.score_sum,
                "score_squares": cell.score_squares,
                "costs": cell.costs,
                "cost_sum_usd": cell.cost_sum_usd,
            }
            for path, model, cell in self._cells()
        ]
        return {"schema": SCHEMA_VERSION, "cells": cells}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OutcomeTable:
        """Read what `to_dict` wrote.

        Raises:
            ConfigurationError: the schema version is another, or a field is wrong; the message names it.
        """
        table = cls()
        for stored in validated(_StoredTable, data, where="outcome table").cells:
            cell = Cell()
            for name in Cell.__slots__:
                setattr(cell, name, getattr(stored, name))
            table._add(stored.path, stored.model, cell)
        return table

    def _add(self, path: Path, model: str, label: Cell) -> None:
        self._strengths = None
        self._recorded.setdefault(path, defaultdict(Cell))[model].add(label)
        for depth in range(1, len(path) + 1):
            self._levels.setdefault(path[:depth], defaultdict(Cell))[model].add(label)

    def _cells(self) -> Iterator[tuple[Path, str, Cell]]:
        for path, models in self._recorded.items():
            for model, cell in models.items():
                yield path, model, cell

    def _measure(self) -> dict[int, float]:
        """Measure by the method of moments how many labels the level above is worth, per depth.

        The strength of a beta prior is the variance of single labels over the variance between the means of siblings.
        Both are pooled over all models: a single model has too few siblings to tell.
        """
        families: dict[int, dict[tuple[Path, str], list[Cell]]] = defaultdict(lambda: defaultdict(list))
        for path, models in self._levels.items():
            for model, cell in models.items():
                if len(path) > 1 and cell.labels:
                    families[len(path)][path[:-1], model].append(cell)
        return {depth: _strength(list(groups.values())) for depth, groups in families.items()}


def _strength(groups: list[list[Cell]]) -> float:
    """Return within-cell over between-cell variance, by one-way analysis of variance with unequal group sizes."""
    groups = [cells for cells in groups if len(cells) > 1]
    free = sum(cell.labels - 1 for cells in groups for cell in cells)
    if free <= 0:
        return DEFAULT_STRENGTH
    within = sum(cell.squared_error for cells in groups for cell in cells) / free
    spread, expected, size = 0.0, 0.0, 0.0
    for cells in groups:
        labels = sum(cell.labels for cell in cells)
        mean = sum(cell.score_sum for cell in cells) / labels
        spread += sum(cell.labels * (cell.mean - mean) ** 2 for cell in cells)
        expected += (len(cells) - 1) * within
        size += labels - sum(cell.labels**2 for cell in cells) / labels
    between = (spread - expected) / size
    if between <= 0.0:
        return MAX_STRENGTH
    return min(max(within / between, MIN_STRENGTH), MAX_STRENGTH)


class _StoredCell(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    path: tuple[str, ...] = Field(min_length=1)
    model: str
    labels: int = Field(ge=1)
    score_sum: float = Field(ge=0, allow_inf_nan=False)
    score_squares: float = Field(ge=0, allow_inf_nan=False)
    costs: int = Field(default=0, ge=0)
    cost_sum_usd: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class _StoredTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = Field(alias="schema")
    cells: tuple[_StoredCell, ...]
