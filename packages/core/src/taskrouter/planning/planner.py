"""From profile and eligible models to a `Decision`: pure, and fast because most of it was made beforehand."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from taskrouter.catalog.card import GENERAL, ModelCard
from taskrouter.decision import Board, Plan, QualityEstimate
from taskrouter.planning.quality import Column, QualityModel
from taskrouter.ports import Choice, Selector, Slate
from taskrouter.profile import TaskProfile


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, the ranking it came from, and the models to try after it."""

    plan: Plan
    fallbacks: tuple[str, ...]
    board: Board
    choice: Choice


class Planner:
    """Scores the eligible models of a step with a selector and picks the best.

    Args:
        cards: the pool.
        incumbent: position of the incumbent in the pool.
    """

    def __init__(self, cards: Sequence[ModelCard], *, incumbent: int) -> None:
        self._cards = tuple(cards)
        self._ids = [card.id for card in self._cards]
        self._incumbent = incumbent
        self._quality = QualityModel(self._cards, incumbent)
        self._general = self._quality.column(GENERAL).estimates
        # Compact columns: at every decision twenty prices are read from memory that a model call has made cold.
        rates = [_rates(card) for card in self._cards]
        self._input_rates = array("d", [0.0 if rate is None else rate[0] for rate in rates])
        self._output_rates = array("d", [0.0 if rate is None else rate[1] for rate in rates])
        self._unpriced = tuple(position for position, rate in enumerate(rates) if rate is None)

    def plan(self, profile: TaskProfile, eligible: tuple[int, ...], selector: Selector) -> Planned:
        """Choose among the models at the positions `eligible`; there is at least one."""
        column = self._quality.column(profile.task_type)
        slate = self._slate(profile, eligible, column)
        choice = selector.choose(slate)
        scores = choice.scores
        order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        names = self._ids if len(eligible) == len(self._ids) else [self._ids[i] for i in eligible]
        chosen, *ids = [names[position] for position in order]
        incumbent = self._ids[self._incumbent]
        if incumbent in ids:  # what works today is the best bet when the choice fails
            ids.remove(incumbent)
            ids.insert(0, incumbent)
        board = Board(cards=slate.cards, quality=slate.quality, scores=scores, order=order, parts=choice.parts)
        return Planned(Plan(models=(chosen,)), tuple(ids), board, choice)

    def _slate(self, profile: TaskProfile, eligible: tuple[int, ...], column: Column) -> Slate:
        costs = self._costs(profile.input_tokens, profile.output_tokens)
        cards: Sequence[ModelCard] = self._cards
        quality: Sequence[QualityEstimate] = column.estimates
        losses: Sequence[float] = column.losses
        general: Sequence[QualityEstimate] = self._general
        whole = len(eligible) == len(cards)
        if not whole:
            cards = [cards[i] for i in eligible]
            quality = [quality[i] for i in eligible]
            losses = [losses[i] for i in eligible]
            general = [general[i] for i in eligible]
            costs = [costs[i] for i in eligible]
        return Slate(
            profile=profile,
            cards=cards,
            quality=quality,
            general=general,
            losses=losses,
            costs=costs,
            incumbent=eligible.index(self._incumbent) if self._incumbent in eligible else None,
            incumbent_quality=column.estimates[self._incumbent],
            incumbent_general=self._general[self._incumbent],
            whole_pool=whole,
        )

    def _costs(self, input_tokens: int, output_tokens: int) -> list[float | None]:
        costs: list[float | None] = [
            into * input_tokens + out * output_tokens
            for into, out in zip(self._input_rates, self._output_rates, strict=True)
        ]
        for position in self._unpriced:
            costs[position] = None
        return costs


def _rates(card: ModelCard) -> tuple[float, float] | None:
    if card.input_usd_per_million is None or card.output_usd_per_million is None:
        return None
    return card.input_usd_per_million / 1e6, card.output_usd_per_million / 1e6
