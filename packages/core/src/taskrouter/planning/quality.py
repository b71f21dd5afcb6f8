"""How good a model is expected to be on a task: a cited figure, or a wide guess that says so."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

from taskrouter.catalog.card import GENERAL, ModelCard
from taskrouter.catalog.priors import kin_prior, tier_prior
from taskrouter.decision import QualityEstimate

BELOW: Final = -1e-6
"""Keeps a model that is as good as the incumbent, but may not replace it, just below it."""


class Column(NamedTuple):
    """What is expected of every model of a pool on one task type."""

    estimates: tuple[QualityEstimate, ...]
    losses: array[float]
    """Expected quality minus the incumbent's, never above `BELOW`: what a model scores that may not replace it."""


class QualityModel:
    """The expected quality of every model of a pool, as a column per task type, made once.

    Args:
        cards: the pool.
        incumbent: position of the incumbent in it.
    """

    def __init__(self, cards: Sequence[ModelCard], incumbent: int) -> None:
        self._cards = tuple(cards)
        self._incumbent = incumbent
        self._columns: dict[str, Column] = {}

    def column(self, task_type: str) -> Column:
        """Return an estimate per model, in the order of the pool."""
        column = self._columns.get(task_type)
        if column is None:
            estimates = tuple(estimate(card, task_type) for card in self._cards)
            reference = estimates[self._incumbent].mean
            losses = array("d", [min(BELOW, quality.mean - reference) for quality in estimates])
            column = self._columns[task_type] = Column(estimates, losses)
        return column


def estimate(card: ModelCard, task_type: str) -> QualityEstimate:
    """Return the card's figure for the task, else its general figure, else a wide prior from its family or size class.

    Only a figure for that very task counts as cited: doing well in general is no evidence for one kind of work.
    """
    if prior := card.quality.get(task_type):
        return QualityEstimate(prior.mean, prior.weight, prior.source, cited=True)
    if task_type != GENERAL and (prior := card.quality.get(GENERAL)):
        return QualityEstimate(prior.mean, prior.weight / 2, f"{prior.source}; general", cited=False)
    wide = kin_prior(card, task_type) or tier_prior(card.tier)
    return QualityEstimate(wide.mean, wide.weight, wide.source, cited=False)
