"""Which models the budgets in force can pay, and how much they press for cheaper and quicker ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from taskrouter.budget.purse import Look, Need, Purse
from taskrouter.decision import Rejection
from taskrouter.errors import BudgetExceededError, NoEligibleModelError


def affordable(
    purses: Sequence[Purse],
    need: Callable[[str], Need],
    ids: Sequence[str],
    eligible: tuple[int, ...],
    before: tuple[Rejection, ...] = (),
) -> tuple[tuple[int, ...], tuple[Rejection, ...]]:
    """Return which of the eligible models the purses can pay, by what was last seen, and why not the others.

    Where none can be paid at once, but some could if calls under way turn out cheaper than what is held for them, those
    are returned: whoever reserves waits for that.

    Args:
        purses: the budgets in force.
        need: the most that a call of a model may use.
        ids: the pool.
        eligible: positions of models in it.
        before: why models were rejected earlier.

    Raises:
        BudgetExceededError: a deadline has passed, or no model fits; it speaks of the cheapest.
        NoEligibleModelError: what keeps the last model out is that its price is unknown.
    """
    for purse in purses:
        if (left_s := purse.time_left_s()) is not None and left_s <= 0:
            raise purse.overdue()
    looks = [(purse, look) for purse in purses for look in purse.looks()]
    priced = next((purse for purse in purses if purse.refuses_unpriced()), None)
    now: list[int] = []
    later: list[int] = []
    rejected: dict[int, Rejection] = {}
    cheapest: tuple[int, BudgetExceededError] | None = None
    for position in eligible:
        model = ids[position]
        needed = need(model)
        if needed.usd is None and priced is not None:
            rejected[position] = _rejection(model, priced.unpriced(model))
            continue
        lacking = _lacking(looks, needed)
        if lacking is None:
            now.append(position)
            continue
        purse, look = lacking
        error = purse.exceeded(look.quantity, needed.of(look.quantity), model)
        rejected[position] = _rejection(model, error)
        if all(needed.of(other.quantity) <= other.left_in_the_end for _, other in looks):
            later.append(position)
        elif cheapest is None or needed.of(look.quantity) < cheapest[0]:
            cheapest = needed.of(look.quantity), error
    if paid := now or later:
        return tuple(paid), tuple(said for position, said in rejected.items() if position not in paid)
    raise cheapest[1] if cheapest else NoEligibleModelError([*before, *rejected.values()])


def pressure(purses: Sequence[Purse]) -> tuple[float, float]:
    """Return the price on money and on time: nothing while half of everything is left, then rising without end."""
    money = max((purse.share_used("usd") for purse in purses), default=0.0)
    time_used = max((_share_of_time(purse) for purse in purses), default=0.0)
    return _price(money), _price(time_used)


def _lacking(looks: Sequence[tuple[Purse, Look]], needed: Need) -> tuple[Purse, Look] | None:
    return next(((purse, look) for purse, look in looks if needed.of(look.quantity) > look.left), None)


def _rejection(model: str, error: BudgetExceededError) -> Rejection:
    return Rejection(model=model, code="budget", detail=str(error))


def _share_of_time(purse: Purse) -> float:
    left_s = purse.time_left_s()
    return 0.0 if left_s is None or not purse.deadline_s else min(1.0, max(0.0, 1.0 - left_s / purse.deadline_s))


def _price(used: float) -> float:
    """At three quarters a model that costs nothing may be 10 points worse than one that costs the most; at nine tenths
    40 points.
    """
    return 0.0 if used <= 0.5 else min(1000.0, 0.1 * (used - 0.5) / max(1e-9, 1.0 - used))
