"""Letting what was learned take the place of what was planned without labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from taskrouter.decision import Decision, Loss, Plan, PlanRow
from taskrouter.planning.planner import Planned

BY_CIRCUMSTANCES: Final = frozenset({"budget_pressure", "deadline_pressure", "all_sidelined", "only_eligible"})
"""Reasons that what was learned does not outweigh: they are about the moment, not about the kind of step."""
TEACHABLE: Final = frozenset({"safe", "balanced", "economy"})
"""Policies that learn; weights and plugins' policies mean what they say."""


def follow(
    planned: Planned,
    plan: Plan,
    *,
    propensity: float,
    loss: Loss,
    detail: str,
    alternatives: tuple[tuple[Plan, float], ...] = (),
) -> Planned:
    """Return the decision with another plan; what was planned before comes right behind it."""
    board, before = planned.board, planned.plan
    behind = [model for model in (*before.models[-1:], *before.models, *planned.fallbacks) if model not in plan.models]
    cost_usd = None
    if plan == before and (row := next((row for row in board.plans if row.plan == plan), None)):
        cost_usd = row.cost_usd
    row = PlanRow(plan=plan, score=max(board.scores, default=0.0), loss=loss, cost_usd=cost_usd)
    others = [row for row in board.plans if row.plan != plan]
    rows = [row, *others] if len(plan.models) > 1 or loss != board.loss(plan) else others
    return planned._replace(
        plan=plan,
        fallbacks=tuple(dict.fromkeys(behind)),
        board=replace(board, plans=rows),
        choice=planned.choice._replace(
            reason="learned", detail=detail, propensity=propensity, alternatives=alternatives
        ),
    )


def one_by_one(decision: Decision) -> Decision:
    """Return a decision that asks no models beside one another: its calls show their words as they are written.

    Two answers would run into each other before the reader, so the model that decides between them is asked at once.
    """
    if decision.plan.kind != "agree":
        return decision
    last = decision.plan.models[-1]
    return replace(
        decision,
        plan=Plan(models=(last,)),
        reason="shown_as_written",
        detail=f"words that are shown as they are written cannot be compared first, so {last} is asked at once",
    )
