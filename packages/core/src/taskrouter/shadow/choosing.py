"""Which plans a step is also sent to: those of which least is known, among those that could save something."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from taskrouter.config import ModelConfig
from taskrouter.decision import Decision, Plan, ScoredPlan
from taskrouter.execution.backends.request import answers_asked_for
from taskrouter.learning import Learner
from taskrouter.learning.fitting import WORTH_OF_A_POINT
from taskrouter.learning.policy import FEW
from taskrouter.step import Step

PROMISING: Final = 5
"""Plans among which the one is chosen of which least is known."""
RUN_BY_PROVIDERS: Final = frozenset(
    {"tools", "functions", "mcp_servers", "web_search_options", "plugins", "background", "tool_resources"}
)
"""Request parameters by which a provider runs tools itself: such a request is never made twice."""


def repeatable(step: Step) -> bool:
    """Tell whether a step can be sent again without any effect but an answer: tools are proposed, never run."""
    payload = step.payload if isinstance(step.payload, Mapping) else {}
    return not RUN_BY_PROVIDERS & payload.keys() and answers_asked_for(step) == 1


def harmless(plan: Plan, models: Mapping[str, ModelConfig], sidelined: Collection[str]) -> bool:
    """Tell whether a plan may be tried: no model of it runs tools by itself or is out for the moment."""
    return not any(model in sidelined or RUN_BY_PROVIDERS & models[model].params.keys() for model in plan.models)


def choose(
    decision: Decision,
    served: Plan,
    learner: Learner,
    *,
    identity: str,
    allowed: Collection[Plan],
    rng: random.Random,
) -> tuple[Plan, ...]:
    """Return the plans to try, so that with what was served they make pairs with the incumbent.

    A model that is new is tried until it has 20 labels. Else the incumbent is tried where another plan served, and
    where it served itself, the plan of which least is known among the five most promising.

    Args:
        decision: what was decided; its ranking has the eligible plans.
        served: the plan whose answer was taken.
        learner: knows how many labels plans have.
        identity: key of the step's identity.
        allowed: plans that may be tried.
        rng: decides between equals.
    """
    incumbent = Plan(models=(decision.incumbent,))
    rows = [row for row in decision.ranking if row.plan in allowed]
    base = next((row for row in rows if row.plan == incumbent), None)
    missing = () if served == incumbent else (incumbent,)
    if base is None and missing:
        return ()
    others = [row for row in rows if row.plan not in (incumbent, served)]
    if fresh := _new(others, learner):
        return (_least_known(fresh, learner, identity, rng), *missing)
    if missing:
        return missing
    cost_usd = base.cost_usd if base is not None else None
    promising = _promising(others, cost_usd)
    return (_least_known(promising, learner, identity, rng),) if promising else ()


def _new(rows: Sequence[ScoredPlan], learner: Learner) -> list[Plan]:
    if not learner.labels:
        return []
    return [row.plan for row in rows if row.plan.kind == "single" and learner.known(str(row.plan)) < FEW]


def _promising(rows: Sequence[ScoredPlan], incumbent_usd: float | None) -> list[Plan]:
    """Return the plans that cost less than the incumbent, by what they save and are expected to lose; best first."""
    if not incumbent_usd:
        return []

    def worth(row: ScoredPlan) -> float:
        assert row.cost_usd is not None, row  # noqa: S101 - left out below
        return 1.0 - row.cost_usd / incumbent_usd - 100.0 * WORTH_OF_A_POINT * max(0.0, row.loss.mean)

    cheaper = [row for row in rows if row.cost_usd is not None and row.cost_usd < incumbent_usd]
    return [row.plan for row in sorted(cheaper, key=worth, reverse=True)[:PROMISING]]


def _least_known(plans: Sequence[Plan], learner: Learner, identity: str, rng: random.Random) -> Plan:
    counts = {plan: learner.known(str(plan), identity) for plan in plans}
    fewest = min(counts.values())
    return rng.choice([plan for plan, count in counts.items() if count == fewest])
