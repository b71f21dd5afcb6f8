"""What a step may take instead, for the online learner: the plans that were weighed, priced for this step."""

from __future__ import annotations

from collections.abc import Iterator

from taskrouter.catalog.card import ModelCard
from taskrouter.decision import Loss, Plan
from taskrouter.learning import Advice, Arm
from taskrouter.planning import Planned
from taskrouter.profile import TaskProfile

MOST = 5
"""Plans that are learned per identity."""
DISAGREED = 0.4
"""Share of the steps on which proposals differ, where nothing else is known."""


def arms_of(planned: Planned, profile: TaskProfile, incumbent: str, learned: Advice | None = None) -> list[Arm]:
    """Return up to five plans: the default first, then the incumbent, agreements, their models and the next singles.

    Plans without a known price are left out; where that is the default, there is nothing to choose from.

    Args:
        planned: what was planned without labels.
        profile: the step's.
        incumbent: id of the model that losses are counted against.
        learned: what was learned for the step; it is the default then.
    """
    board = planned.board
    cards = {card.id: card for card in board.cards}
    announced = {row.plan: row.cost_usd for row in board.plans}
    arms: dict[Plan, Arm] = {}
    for plan in _candidates(planned, incumbent, learned):
        if plan in arms or len(arms) == MOST:
            continue
        cost_usd = announced.get(plan)
        if cost_usd is None:
            cost_usd = _cost_usd(plan, cards, profile)
        if cost_usd is not None:
            loss: Loss = learned.loss if learned is not None and plan == learned.plan else board.loss(plan)
            arms[plan] = Arm(plan=plan, cost_usd=cost_usd, loss=loss)
        elif not arms:
            return []  # the default has no price: no other plan may take its place as the first
    return list(arms.values())


def _candidates(planned: Planned, incumbent: str, learned: Advice | None) -> Iterator[Plan]:
    board = planned.board
    if learned is not None:
        yield learned.plan
    yield planned.plan
    yield Plan(models=(incumbent,))
    several = [planned.plan, *(row.plan for row in board.plans)]
    yield from several
    for plan in several:
        yield from (Plan(models=(model,)) for model in plan.models)
    yield from (Plan(models=(board.cards[i].id,)) for i in board.order)


def _cost_usd(plan: Plan, cards: dict[str, ModelCard], profile: TaskProfile) -> float | None:
    """Expected price of a plan's calls; None where a price is unknown or a model may not take the step."""
    total = 0.0
    for position, model in enumerate(plan.models):
        card = cards.get(model)
        own = None if card is None else card.cost_usd(profile.input_tokens, profile.output_tokens)
        if own is None:
            return None
        last = len(plan.models) > 1 and position == len(plan.models) - 1
        total += DISAGREED * own if last else own
    return total
