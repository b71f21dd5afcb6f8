"""Agreement as a plan: two cheap models are asked at once, and only where they differ the incumbent is asked too.

What a plan of that kind loses was measured on published answers (`planning.measured`): two cheap models that propose
the same tool calls, or the same number, are right more often than the incumbent. On the value that code computes they
share mistakes, and on knowledge questions too: the more of them, the weaker they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, get_args

from taskrouter.config import PolicyConfig
from taskrouter.decision import Loss, Plan, PlanRow
from taskrouter.planning.checks import Check
from taskrouter.planning.measured import figures_of
from taskrouter.planning.pairs import Pair
from taskrouter.ports import Slate

CHECKS: Final[tuple[Check, ...]] = get_args(Check)

LOSSES: Final[Mapping[Check, Loss]] = {
    check: figures.expected(figures.gap) for check in CHECKS if (figures := figures_of(check)) is not None
}
"""Expected loss at the usual gap, by what is compared; a kind that is not here is not agreed on without labels."""

SAFE: Final[frozenset[Check]] = frozenset({"tool_calls", "number"})
"""Where agreement has lost nothing on any set of prompts: the default policy relies on it there, and nowhere else."""

ECONOMY: Final = 0.05
"""Expected loss up to which `economy` relies on an agreement."""

ROUNDING: Final = 0.0005
"""Losses are told in tenths of a point, and compared so."""


class Trust(NamedTuple):
    """What a policy compares answers by, and how much it may be expected to lose by that."""

    check: Check
    most_loss: float


def trusted(policy: PolicyConfig) -> Mapping[Check, Trust]:
    """Return the kinds of comparison that a policy relies on without labels, each with the loss that it accepts."""
    return _trusted(policy.name, policy.max_loss) if policy.agreement else _NOTHING


@lru_cache(maxsize=256)
def _trusted(name: str, max_loss: float) -> Mapping[Check, Trust]:
    if name == "safe":
        return {check: Trust(check, 0.0) for check in SAFE}
    most_loss = {"balanced": max_loss, "economy": max(ECONOMY, max_loss)}.get(name)
    return _NOTHING if most_loss is None else {check: Trust(check, most_loss) for check in LOSSES}


_NOTHING: Final[Mapping[Check, Trust]] = {}


def acceptable(pair: Pair, trust: Trust) -> bool:
    """Tell whether a pair is expected to lose no more than the policy accepts."""
    return pair.loss.mean <= trust.most_loss + ROUNDING


def weigh(slate: Slate, pair: Pair, ids: Sequence[str], costs: Sequence[float | None]) -> PlanRow | None:
    """Return the plan that asks the pair first, priced for this step; None where it saves nothing or no price is known.

    Args:
        slate: the step's slate; its incumbent is eligible.
        pair: positions in the pool.
        ids: ids of the pool.
        costs: expected price of the step with every model of the pool, US dollars.
    """
    own = None if slate.incumbent is None else slate.costs[slate.incumbent]
    one, other = costs[pair.first], costs[pair.second]
    if not own or one is None or other is None:
        return None
    cost_usd = one + other + (1.0 - pair.agree) * own
    saving = 1.0 - cost_usd / own
    if saving <= 0.0:
        return None
    incumbent = slate.cards[slate.incumbent or 0].id
    plan = Plan(kind="agree", models=(ids[pair.first], ids[pair.second], incumbent))
    return PlanRow(plan=plan, score=saving, loss=pair.loss, cost_usd=cost_usd)


def told(check: Check, row: PlanRow) -> str:
    """Say why an agreement was chosen."""
    one, other, incumbent = row.plan.models
    return (
        f"{one} and {other} are asked at once and their {_WORDS[check]} compared: where they differ {incumbent} "
        f"answers; expected to cost {100 * row.score:.0f} % less than {incumbent} alone"
    )


def no_pair(check: Check) -> str:
    """Say why nothing is compared on a step on which it could be."""
    return (
        f"{_WORDS[check]} could be compared, but no two cheap and able models of different houses, with known prices, "
        "may take the step"
    )


_WORDS: Final[dict[Check, str]] = {
    "tool_calls": "proposed tool calls",
    "number": "final numbers",
    "code": "computed values",
    "choice": "chosen options",
    "json": "documents",
}
