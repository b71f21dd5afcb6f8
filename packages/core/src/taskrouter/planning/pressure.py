"""What a short budget or a near deadline takes off every score, and what to say when that changes the choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from taskrouter.decision import ScorePart
from taskrouter.planning.selectors import latencies
from taskrouter.ports import Choice, Conditions, Slate

_MOST: Final = 1e6
"""A weight above this counts as this: any model's share then outweighs all else, and infinity times nothing is no
number."""


class _Term(NamedTuple):
    name: str
    lead: str
    verb: str
    weight: float
    values: Sequence[float | None]
    losses: Sequence[float]
    """What each model loses: the weight times its share of the worst value."""

    def shown(self, position: int) -> str:
        value, money = self.values[position], self.name == "budget"
        if value is None:
            return "an unknown amount" if money else "an unknown time"
        return f"${value:.6f}" if money else f"{value:.2f} s"


def press(choice: Choice, slate: Slate, conditions: Conditions) -> Choice:
    """Return the choice with `cost_weight` and `latency_weight` taken off its scores."""
    terms = []
    if conditions.cost_weight:
        terms.append(_term("budget", "money is short", "costs", conditions.cost_weight, slate.costs))
    if conditions.latency_weight:
        terms.append(_term("deadline", "time is short", "takes", conditions.latency_weight, latencies(slate)))
    if not terms:
        return choice
    scores = list(choice.scores)
    parts = list(choice.parts) or [()] * len(scores)
    for term in terms:
        for i, loss in enumerate(term.losses):
            scores[i] -= loss
            parts[i] = (*parts[i], ScorePart(term.name, term.values[i], term.weight, -loss))
    before = max(range(len(scores)), key=choice.scores.__getitem__)
    after = max(range(len(scores)), key=scores.__getitem__)
    choice = choice._replace(scores=scores, parts=parts)
    return choice if before == after else _told(choice, slate, terms, before, after)


def _term(name: str, lead: str, verb: str, weight: float, values: Sequence[float | None]) -> _Term:
    weight = min(weight, _MOST)
    worst = max((value for value in values if value is not None), default=0.0) or 1.0
    losses = [weight * (1.0 if value is None else value / worst) for value in values]
    return _Term(name, lead, verb, weight, values, losses)


def _told(choice: Choice, slate: Slate, terms: Sequence[_Term], before: int, after: int) -> Choice:
    def gain(term: _Term) -> float:
        return term.losses[before] - term.losses[after]

    speaking = sorted((term for term in terms if gain(term) > 0), key=gain, reverse=True)
    old, new = slate.cards[before].id, slate.cards[after].id
    words = ", and ".join(
        f"{term.lead} (weight {term.weight:g}): {new} {term.verb} {term.shown(after)}, {old} {term.shown(before)}"
        for term in speaking
    )
    return choice._replace(
        reason="budget_pressure" if speaking[0].name == "budget" else "deadline_pressure",
        detail=f"{words}; without that it would be {old}: {choice.detail}",
    )
