"""What the outcome of a step says about plans, beside the one that was carried out.

A label of an answer is a label of everything that gave the same answer: where two proposals agreed, each of their
models alone would have scored the same; where a proposal differed from an answer that was right, it was wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from taskrouter.decision import Plan
from taskrouter.learning.fitting import Labelled
from taskrouter.learning.gains import Scored
from taskrouter.learning.identity import Identity
from taskrouter.outcome import Outcome

WEIGHTS: Final[Mapping[str, float]] = {
    "judge": 0.8,
    "tool_error": 0.5,
    "parser_error": 0.5,
    "node_error": 0.25,
    "gate": 0.5,
    "agreement": 0.25,
}
"""What a label is worth by its source, beside one by a user, a test or a grader, which is worth 1. A tool fails for
reasons of its own too, and models that agree can be wrong together."""

AGREEMENT_RIGHT: Final = 0.947
"""How often a call that two cheap models proposed alike was right, measured on published answers (771 prompts); where
feedback says how often it is here, that takes its place."""
RIGHT: Final = 1.0


class Remembered(NamedTuple):
    """What must be known of an answered step when its label comes, maybe late."""

    identity: Identity
    plan: Plan
    propensity: float
    model: str
    """The model that answered."""
    fallback: bool
    """Whether that was none of the plan's: then the label says nothing about the plan."""
    cost_usd: float | None
    costs_usd: Mapping[str, float]
    """Cost of each model's own calls, by model."""
    agreed: bool
    same: Mapping[str, bool | None]
    """For each proposer, whether its answer equals the one that was taken."""
    one_form: bool = True
    """Whether a right answer has one form. Of tool calls that differ from a right one 21 to 49 % are right too, by
    model, measured on published answers (771 prompts)."""


def remember(outcome: Outcome[Any], identity: Identity) -> Remembered:
    """Keep what labels will need."""
    costs: dict[str, float] = {}
    for attempt in outcome.attempts:
        if attempt.cost_usd is not None:
            costs[attempt.model] = costs.get(attempt.model, 0.0) + attempt.cost_usd
    plan = outcome.decision.plan
    return Remembered(
        identity=identity,
        plan=plan,
        propensity=outcome.decision.propensity,
        model=outcome.model,
        fallback=outcome.model not in plan.models,
        cost_usd=outcome.cost_usd,
        costs_usd=costs,
        agreed=outcome.check == "agreed",
        same={proposal.model: proposal.same for proposal in outcome.proposals},
        one_form=not outcome.decision.profile.requirements.tools,
    )


def labelled(known: Remembered, score: float, weight: float) -> tuple[Labelled, dict[str, Plan]]:
    """Return the labels that follow from one, and the plans they are of.

    Where the incumbent was asked because proposals differed, its label is left out: such steps are the hard ones, and a
    mean over them would make it look worse than it is.
    """
    plans: dict[str, Plan] = {}
    scores: dict[str, Scored] = {}

    def add(plan: Plan, own: float, cost_usd: float | None) -> None:
        plans[str(plan)] = plan
        scores[str(plan)] = Scored(own, cost_usd)

    if known.fallback:
        add(Plan(models=(known.model,)), score, known.costs_usd.get(known.model))
    else:
        add(known.plan, score, known.cost_usd)
        for model, own in _proposers(known, score):
            add(Plan(models=(model,)), own, known.costs_usd.get(model))
    return Labelled(identity=known.identity, scores=scores, weight=weight), plans


def _proposers(known: Remembered, score: float) -> Iterator[tuple[str, float]]:
    for model, same in known.same.items():
        if same:
            yield model, score
        elif same is False and known.one_form and score >= RIGHT:
            yield model, 0.0


def weak(known: Remembered, outcome: Outcome[Any], right: float) -> Iterator[tuple[str, Labelled, dict[str, Plan]]]:
    """Yield what a step teaches without anybody's word: answers that failed their check, and proposals that agreed."""
    for attempt in outcome.attempts:
        if attempt.error_type in _WRONG and attempt.status == "failed":
            plan = Plan(models=(attempt.model,))
            scored = Scored(0.0, attempt.cost_usd)
            row = Labelled(identity=known.identity, scores={str(plan): scored}, weight=WEIGHTS["gate"])
            yield "gate", row, {str(plan): plan}
    if known.agreed:
        row, plans = labelled(known, right, WEIGHTS["agreement"])
        yield "agreement", row, plans


_WRONG: Final = frozenset({"bad_answer", "empty_answer", "refused"})
