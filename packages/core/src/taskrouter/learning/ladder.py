"""Policies of increasing boldness, of which `certificate` finds the boldest that can be vouched for.

What is learned here is *harm*: a step is harmed by what the answer scores below the incumbent's. A gain elsewhere does
not make up for it, so that a plan which wins some and loses some is no way to do no harm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from taskrouter.decision import NO_LOSS, Z95, Loss, Plan
from taskrouter.learning.allocation import Allocation, Market, Option, Work
from taskrouter.learning.fitting import FEWEST, Labelled
from taskrouter.learning.gains import Estimate, GainTable, Scored
from taskrouter.learning.policy import Branch, LearnedPolicy, Reckoning

RUNGS: Final = 40
CAUTIOUS, BOLD = 0.02, 5.0
"""Expected harm of the first and of the last policy, in parts of the accepted one."""
CAUTION: Final = 0.5
"""Standard deviations of an estimate that are added to a plan's harm before it is chosen."""


def harm(row: Labelled, name: str, incumbent: str) -> float:
    """Return by how much a plan's answer scores below the incumbent's; 0 where it does not."""
    return max(0.0, row.scores[incumbent].score - row.scores[name].score)


def ladder(
    rows: Sequence[Labelled], plans: Mapping[str, Plan], incumbent: str, *, max_loss: float
) -> list[LearnedPolicy]:
    """Learn policies, the most cautious first; each one after it sends more steps away from the incumbent.

    They are nested: what one takes the plan of an identity for, the next keeps or makes bolder.

    Args:
        rows: labelled steps, each with all plans on the same prompt.
        plans: what may be chosen, by name; the incumbent alone is among them.
        incumbent: name of that plan, the model's id.
        max_loss: accepted harm, as a share.
    """
    table = GainTable(incumbent)
    for row in rows:
        pseudo = {name: Scored(1.0 - harm(row, name, incumbent), row.scores[name].cost_usd) for name in plans}
        table.record(row.identity, pseudo)
    estimates = table.estimates(plans)
    work = {
        key: Work(table.steps(key), _options(estimates[key], incumbent))
        for key in table.identities
        if table.steps(key) >= FEWEST
    }
    found: list[LearnedPolicy] = []
    if not work:
        return found
    market = Market(work, incumbent=incumbent)
    before: object = None
    for target in _targets(max_loss):
        allocation = market.within(target, mixed=True)
        chosen = {key: allocation.shares(key) for key in table.identities}
        if chosen != before and any(name != incumbent for shares in chosen.values() for name, _ in shares):
            found.append(_policy(allocation, table, estimates, plans, incumbent))
        before = chosen
    return found


def _targets(max_loss: float) -> Iterator[float]:
    for rung in range(RUNGS):
        yield max_loss * CAUTIOUS * (BOLD / CAUTIOUS) ** (rung / (RUNGS - 1))


def _options(estimates: Mapping[str, Estimate], incumbent: str) -> dict[str, Option]:
    options = {}
    for name, known in estimates.items():
        if known.cost_usd is not None:
            expected = 0.0 if name == incumbent else min(0.0, known.gain) - CAUTION * math.sqrt(known.variance)
            options[name] = Option(expected, known.cost_usd)
    return options


def _policy(
    allocation: Allocation[str],
    table: GainTable,
    estimates: Mapping[str, Mapping[str, Estimate]],
    plans: Mapping[str, Plan],
    incumbent: str,
) -> LearnedPolicy:
    branches = {
        key: tuple(
            Branch(plans[name], share, _loss(estimates[key][name], table.steps(key)) if name != incumbent else NO_LOSS)
            for name, share in allocation.shares(key)
            if share > 0.0
        )
        for key in table.identities
    }
    labels = {key: table.steps(key) for key in table.identities}
    reckoning = Reckoning(allocation.expected_loss, 0.0, 0.0, sum(labels.values()))
    return LearnedPolicy(incumbent, branches, labels, reckoning)


def _loss(known: Estimate, steps: int) -> Loss:
    spread = Z95 * math.sqrt(known.variance)
    mean = max(0.0, -known.gain)
    return Loss(mean, mean - spread, mean + spread, f"harm on {steps:,} labelled steps of its kind")
