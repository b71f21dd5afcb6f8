"""From profile and eligible models to a `Decision`: pure, and fast because most of it was made beforehand."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from taskrouter.catalog.card import GENERAL, ModelCard
from taskrouter.decision import Board, Plan, PlanRow, QualityEstimate, Rejection
from taskrouter.planning.agreement import Trust, acceptable, no_pair, told, weigh
from taskrouter.planning.caching import caches, choose
from taskrouter.planning.pairs import PairBook
from taskrouter.planning.pressure import press
from taskrouter.planning.quality import Column, QualityModel
from taskrouter.planning.sidelines import Lineup, lineup, rescue
from taskrouter.ports import WELL, Choice, Conditions, Selector, Slate
from taskrouter.profile import TaskProfile


class Planned(NamedTuple):
    """A plan, the ranking it came from, and the models to try after it."""

    plan: Plan
    fallbacks: tuple[str, ...]
    board: Board
    choice: Choice
    rejected: tuple[Rejection, ...] = ()
    """Eligible models that are sidelined at the moment; they end the fallbacks."""


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
        self._pairs = PairBook(self._cards, incumbent, self._quality)
        # Compact columns: at every decision twenty prices are read from memory that a model call has made cold.
        rates = [_rates(card) for card in self._cards]
        self._input_rates = array("d", [0.0 if rate is None else rate[0] for rate in rates])
        self._output_rates = array("d", [0.0 if rate is None else rate[1] for rate in rates])
        self._unpriced = tuple(position for position, rate in enumerate(rates) if rate is None)

    def plan(
        self,
        profile: TaskProfile,
        eligible: tuple[int, ...],
        selector: Selector,
        conditions: Conditions = WELL,
        escalation: Sequence[str] = (),
        trust: Trust | None = None,
    ) -> Planned:
        """Choose among the models at the positions `eligible`; there is at least one.

        Args:
            profile: what the step is.
            eligible: positions in the pool.
            selector: the policy.
            conditions: what holds at the moment; `WELL` itself takes the short way.
            escalation: the only models to fall back to, in this order: those behind the chosen one, then those before
                it. Without it the incumbent comes first, then the others by score.
            trust: what two answers to the step may be compared by, where the policy relies on that.
        """
        if conditions is not WELL or escalation:
            return self._plan_under(conditions, profile, eligible, selector, escalation, trust)
        slate = self._slate(profile, eligible, self._quality.column(profile.task_type))
        choice = selector.choose(slate)
        order, ranked = self._ranked(choice, eligible)
        single = Plan(models=(ranked[0],))
        if trust is None:
            board = self._board(slate, choice, order)
            return Planned(single, self._fallbacks(ranked), board, choice)
        plan, choice, rows = self._agreed(trust, slate, choice, single, eligible)
        board = self._board(slate, choice, order, rows)
        return Planned(plan, self._fallbacks(_behind(plan, ranked)), board, choice)

    def _plan_under(
        self,
        conditions: Conditions,
        profile: TaskProfile,
        eligible: tuple[int, ...],
        selector: Selector,
        escalation: Sequence[str],
        trust: Trust | None,
    ) -> Planned:
        line = lineup(self._ids, eligible, conditions.sidelined)
        # A decision is kept and looked at later, when what it was made from may have changed: it has its own copy.
        observed = dict(conditions.latency_s) or None
        slate = self._slate(profile, line.standing, self._quality.column(profile.task_type), observed)
        cached = caches(slate, conditions.cached_tokens)
        if cached:
            slate, choice = choose(selector, slate, cached)
        else:
            choice = selector.choose(slate)
        choice = press(choice, slate, conditions)
        order, ranked = self._ranked(choice, line.standing)
        if line.rescued is not None:
            choice = rescue(choice, ranked[0], line.rescued, len(eligible))
        plan = Plan(models=(ranked[0],))
        rows: Sequence[PlanRow] = ()
        if trust is not None and line.rescued is None and not conditions.latency_weight:
            plan, choice, rows = self._agreed(trust, slate, choice, plan, line.standing, conditions.cost_weight)
        board = self._board(slate, choice, order, rows)
        board = replace(
            board,
            cached_tokens={slate.cards[i].id: cache.tokens for i, cache in cached.items()} if cached else None,
            latency_s=observed,
        )
        behind = _behind(plan, ranked)
        fallbacks = _escalated(behind, line, escalation) if escalation else (*self._fallbacks(behind), *line.aside)
        return Planned(plan, fallbacks, board, choice, line.rejected)

    def _board(self, slate: Slate, choice: Choice, order: list[int], plans: Sequence[PlanRow] = ()) -> Board:
        return Board(
            cards=slate.cards,
            quality=slate.quality,
            scores=choice.scores,
            order=order,
            parts=choice.parts,
            incumbent=self._ids[self._incumbent],
            incumbent_quality=slate.incumbent_quality,
            plans=plans,
        )

    def _agreed(
        self,
        trust: Trust,
        slate: Slate,
        choice: Choice,
        single: Plan,
        standing: tuple[int, ...],
        cost_weight: float = 0.0,
    ) -> tuple[Plan, Choice, Sequence[PlanRow]]:
        """Let the agreement of two cheap models take the place of the chosen one, where it saves more."""
        allowed = None if len(standing) == len(self._cards) else frozenset(standing)
        if slate.incumbent is None:
            return single, choice, ()
        pair = self._pairs.best(trust.check, allowed, accept=lambda pair: acceptable(pair, trust))
        if pair is None:
            return single, choice._replace(detail=f"{choice.detail}; {no_pair(trust.check)}"), ()
        costs = self._costs(slate.profile.input_tokens, slate.profile.output_tokens)
        row = weigh(slate, pair, self._ids, costs)
        if row is None:
            return single, choice, ()
        if cost_weight and row.cost_usd is not None:
            row = replace(row, score=row.score - cost_weight * row.cost_usd / max(filter(None, slate.costs)))
        if row.score <= max(choice.scores):
            return single, choice, (row,)
        return row.plan, choice._replace(reason="agreement", detail=told(trust.check, row)), (row,)

    def _ranked(self, choice: Choice, positions: tuple[int, ...]) -> tuple[list[int], list[str]]:
        scores = choice.scores
        order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        names = self._ids if len(positions) == len(self._ids) else [self._ids[i] for i in positions]
        return order, [names[position] for position in order]

    def _fallbacks(self, ranked: Sequence[str]) -> tuple[str, ...]:
        _, *ids = ranked
        incumbent = self._ids[self._incumbent]
        if incumbent in ids:  # what works today is the best bet when the choice fails
            ids.remove(incumbent)
            ids.insert(0, incumbent)
        return tuple(ids)

    def _slate(
        self,
        profile: TaskProfile,
        eligible: tuple[int, ...],
        column: Column,
        observed_latency_s: Mapping[str, float] | None = None,
    ) -> Slate:
        costs = self._costs(profile.input_tokens, profile.output_tokens)
        cards: Sequence[ModelCard] = self._cards
        quality: Sequence[QualityEstimate] = column.estimates
        losses: Sequence[float] = column.losses
        general: Sequence[QualityEstimate] = self._general
        whole = len(eligible) == len(cards)
        incumbent: int | None = self._incumbent
        if not whole:
            incumbent = eligible.index(self._incumbent) if self._incumbent in eligible else None
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
            incumbent=incumbent,
            incumbent_quality=column.estimates[self._incumbent],
            incumbent_general=self._general[self._incumbent],
            whole_pool=whole,
            latency_s=observed_latency_s,
        )

    def _costs(self, input_tokens: int, output_tokens: int) -> list[float | None]:
        costs: list[float | None] = [
            into * input_tokens + out * output_tokens
            for into, out in zip(self._input_rates, self._output_rates, strict=True)
        ]
        for position in self._unpriced:
            costs[position] = None
        return costs


def _behind(plan: Plan, ranked: Sequence[str]) -> list[str]:
    """The ranking as it stands behind a plan: its models first, for they are asked anyway."""
    return (
        [*plan.models[:1], *(model for model in ranked if model not in plan.models)]
        if len(plan.models) > 1
        else [*ranked]
    )


def _escalated(ranked: Sequence[str], line: Lineup, chain: Sequence[str]) -> tuple[str, ...]:
    """Order the chain from the chosen model on and around; what is sidelined goes to its end."""
    chosen = ranked[0]
    if chosen in chain:
        at = chain.index(chosen)
        chain = (*chain[at + 1 :], *chain[:at])
    able = frozenset(ranked[1:])
    return (*(model for model in chain if model in able), *(model for model in line.aside if model in chain))


def _rates(card: ModelCard) -> tuple[float, float] | None:
    if card.input_usd_per_million is None or card.output_usd_per_million is None:
        return None
    return card.input_usd_per_million / 1e6, card.output_usd_per_million / 1e6
