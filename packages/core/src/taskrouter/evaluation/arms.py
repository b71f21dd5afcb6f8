"""All that may be chosen on recorded prompts: single models, gates, and agreements of cheap pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from taskrouter.decision import Plan
from taskrouter.evaluation.baselines import Single, singles
from taskrouter.evaluation.recordings import Recording

MAX_PAIRS = 12
"""Pairs of models that may be asked to agree: more plans are more ways to be lucky on the training prompts."""
CHEAP_SHARE = 0.5
"""What the calls before the last one may cost together, as a share of the incumbent: else they are not worth it."""
OTHER_JUDGES = 2
"""Models beside the incumbent that a disagreement may be taken to."""
JUDGES_MARGIN = 0.05
"""How far below the incumbent such a model may score."""
ANSWERED = 0.3
"""Share of the outcomes that must hold an answer before agreement can be looked at."""


def arms_of(train: Recording, incumbent: str) -> list[Plan]:
    """Return all plans that may be chosen, by the labels and costs of `train` alone.

    Single models; where validity was recorded, gates before the incumbent; where answers were, agreements of cheap
    pairs before the incumbent or another good model. The better model of a pair comes first: its answer is taken.
    """
    ranked = singles(train)
    base = next(single for single in ranked if single.model == incumbent)
    cheap = [single for single in ranked if single.model != incumbent and single.cost_usd < CHEAP_SHARE * base.cost_usd]
    plans = [Plan(models=(single.model,)) for single in ranked]
    if _has_validity(train):
        plans += [Plan(kind="gate", models=(single.model, incumbent)) for single in cheap]
    if has_answers(train):
        plans += _agreements(ranked, cheap, base)
    return plans


def has_answers(recording: Recording) -> bool:
    """Tell whether enough answers were recorded to compare them."""
    outcomes = [prompt.outcomes[model] for prompt in recording.prompts for model in recording.models]
    return sum(outcome.answer is not None for outcome in outcomes) > ANSWERED * len(outcomes)


def _has_validity(recording: Recording) -> bool:
    return any(prompt.outcomes[model].valid is False for prompt in recording.prompts for model in recording.models)


def _agreements(ranked: Sequence[Single], cheap: Sequence[Single], base: Single) -> list[Plan]:
    pairs = [
        (one, other)
        for one, other in combinations(cheap, 2)
        if one.cost_usd + other.cost_usd < CHEAP_SHARE * base.cost_usd
    ]
    pairs.sort(key=lambda pair: -(pair[0].score + pair[1].score))
    good = [s for s in ranked if s.model != base.model and s.score > base.score - JUDGES_MARGIN]
    judges = [base.model, *(single.model for single in good[:OTHER_JUDGES])]
    return [
        Plan(kind="agree", models=(one.model, other.model, judge))
        for one, other in pairs[:MAX_PAIRS]
        for judge in judges
        if judge not in (one.model, other.model)
    ]
