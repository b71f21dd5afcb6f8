"""The policy that uses labels well: a shrunken table per step identity, a joint choice, and a margin that was tested.

1. *What can be chosen*: every model alone and, where answers were recorded, the agreement of two cheap models with the
   incumbent as the judge.
2. *What is believed*: `learning.OutcomeTable`, an empirical Bayes estimate per identity.
3. *What is chosen*: `learning.allocate`, the cheapest choices whose pooled loss stays within a target.
4. *How far to trust it*: choosing the best of noisy estimates promises too much. So the target is picked by
   cross-validation on the training prompts: the cheapest one whose loss on prompts left out is, one standard error
   added (the rule of Breiman et al., Classification and Regression Trees, 1984), at most `max_loss`. If none is, the
   incumbent keeps everything.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import combinations
from typing import Self

from taskrouter.decision import Plan
from taskrouter.evaluation.baselines import singles
from taskrouter.evaluation.recordings import Recording
from taskrouter.evaluation.replay import Served, serve
from taskrouter.evaluation.situations import Situation
from taskrouter.learning import Allocation, Option, OutcomeTable, Path, Work, allocate

MAX_LOSS = 0.01
"""Accepted loss against the incumbent on prompts left out, one standard error included."""
TARGETS = (-0.03, -0.02, -0.015, -0.01, -0.0075, -0.005, -0.0025, 0.0, 0.0025, 0.005, 0.01)
"""Losses that `allocate` may be asked for; negative ones are margins against its own optimism."""
FOLDS = 5
MAX_PAIRS = 12
"""Pairs of models that may be asked to agree: more arms are more ways to be lucky on the training prompts."""
CHEAP_SHARE = 0.5
"""A pair must cost less than this share of the incumbent, or agreement is not worth its calls."""


class Learned:
    """Takes for each identity the plan that the joint allocation gave it; unseen identities stay with the incumbent."""

    name = "learned"

    def __init__(self, choices: dict[Path, Plan], incumbent: str) -> None:
        self.choices = choices
        self._incumbent = Plan(models=(incumbent,))

    @classmethod
    def fit(
        cls,
        train: Recording,
        situations: Sequence[Situation],
        incumbent: str,
        *,
        max_loss: float = MAX_LOSS,
        seed: int = 0,
    ) -> Self:
        """Learn from training prompts, seen as `situations`."""
        arms = {str(plan): plan for plan in arms_of(train, incumbent)}
        paths = [_path(situation) for situation in situations]
        rows = [{name: serve(plan, prompt) for name, plan in arms.items()} for prompt in train.prompts]
        folds = _folds(len(rows), seed)
        parts = [_table([paths[i] for i in fold], [rows[i] for i in fold]) for fold in folds]
        target = _target(folds, parts, paths, rows, incumbent, max_loss)
        if target is None:
            return cls({}, incumbent)
        allocation = _allocate(_merged(parts), list(arms), incumbent, target)
        return cls({path: arms[name] for path, name in allocation.choices.items()}, incumbent)

    def plans(self, situations: Sequence[Situation]) -> list[Plan]:
        """Look each identity up."""
        return [self.choices.get(_path(situation), self._incumbent) for situation in situations]


def arms_of(train: Recording, incumbent: str) -> list[Plan]:
    """All that may be chosen: single models, and agreements of cheap pairs before the incumbent.

    Only labels of `train` and its costs are looked at. The better model of a pair comes first: its answer is taken.
    """
    alone = [Plan(models=(model,)) for model in train.models]
    if not any(outcome.answer is not None for prompt in train.prompts for outcome in prompt.outcomes.values()):
        return alone
    ranked = singles(train)
    limit_usd = CHEAP_SHARE * next(single.cost_usd for single in ranked if single.model == incumbent)
    pairs = [
        (one, other)
        for one, other in combinations(ranked, 2)
        if incumbent not in (one.model, other.model) and one.cost_usd + other.cost_usd < limit_usd
    ]
    pairs.sort(key=lambda pair: -(pair[0].score + pair[1].score))
    return alone + [Plan(kind="agree", models=(one.model, other.model, incumbent)) for one, other in pairs[:MAX_PAIRS]]


def _path(situation: Situation) -> Path:
    """The identity below the whole; a prompt without an identity counts for the whole only."""
    return ("*",) if situation.identity is None else ("*", situation.identity)


def _folds(prompts: int, seed: int) -> list[list[int]]:
    order = list(range(prompts))
    random.Random(seed).shuffle(order)
    return [fold for start in range(FOLDS) if (fold := order[start::FOLDS])]


def _table(paths: Sequence[Path], rows: Sequence[dict[str, Served]]) -> OutcomeTable:
    table = OutcomeTable()
    for path, row in zip(paths, rows, strict=True):
        for name, served in row.items():
            table.record(path, name, served.score, served.cost_usd)
    return table


def _merged(parts: Sequence[OutcomeTable]) -> OutcomeTable:
    whole = OutcomeTable()
    for part in parts:
        whole.merge(part)
    return whole


def _work(table: OutcomeTable, arms: Sequence[str]) -> dict[Path, Work]:
    work = {}
    for path in table.paths:
        if len(path) > 1:
            estimates = {arm: table.estimate(path, arm) for arm in arms}
            options = {arm: Option(e.mean, e.cost_usd or 0.0) for arm, e in estimates.items()}
            work[path] = Work(table.labels(path), options)
    return work


def _allocate(table: OutcomeTable, arms: Sequence[str], incumbent: str, max_loss: float) -> Allocation[Path]:
    return allocate(_work(table, arms), incumbent=incumbent, max_loss=max_loss)


def _target(
    folds: Sequence[Sequence[int]],
    parts: Sequence[OutcomeTable],
    paths: Sequence[Path],
    rows: Sequence[dict[str, Served]],
    incumbent: str,
    max_loss: float,
) -> float | None:
    """The loss to ask `allocate` for: the cheapest that keeps its word on prompts left out, or None."""
    trials: dict[float, list[tuple[float, float]]] = {target: [] for target in TARGETS}
    for position, fold in enumerate(folds):
        rest = _work(_merged([part for other, part in enumerate(parts) if other != position]), list(rows[0]))
        for target, trial in trials.items():
            allocation = allocate(rest, incumbent=incumbent, max_loss=target)
            for i in fold:
                own, base = rows[i][allocation.model(paths[i])], rows[i][incumbent]
                trial.append((base.score - own.score, own.cost_usd - base.cost_usd))
    extra_usd = {target: sum(cost for _, cost in trial) for target, trial in trials.items()}
    kept = [
        target
        for target, trial in trials.items()
        if extra_usd[target] < 0 and _upper_loss([loss for loss, _ in trial]) <= max_loss
    ]
    return min(kept, key=lambda target: extra_usd[target], default=None)


def _upper_loss(losses: Sequence[float]) -> float:
    """The mean loss and one standard error, as if one more prompt had been lost outright: few prompts prove little."""
    mean = sum(losses) / len(losses)
    squares = sum((loss - mean) ** 2 for loss in losses) + 1.0
    return mean + math.sqrt(squares) / len(losses)
