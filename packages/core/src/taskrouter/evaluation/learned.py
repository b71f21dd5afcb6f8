"""The policy that uses labels, as the router has it, on recorded prompts: `learning.fit`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Self

from taskrouter.decision import Plan
from taskrouter.evaluation.arms import arms_of
from taskrouter.evaluation.recordings import Recording
from taskrouter.evaluation.replay import serve
from taskrouter.evaluation.situations import Policy, Situation
from taskrouter.learning import Identity, Labelled, LearnedPolicy, Scored, fit
from taskrouter.learning.fitting import MAX_LOSS


class Learned:
    """Takes for each identity the plan that was learned; what is not known goes as it would without labels.

    Args:
        policy: what was learned; None: nothing.
        incumbent: the model to stay with.
        otherwise: chooses for identities that were not learned; without it the incumbent keeps them.
        seed: decides which steps of a divided identity take which plan.
    """

    name = "learned"

    def __init__(
        self, policy: LearnedPolicy | None, incumbent: str, otherwise: Policy | None = None, *, seed: int = 0
    ) -> None:
        self.policy = policy
        self._incumbent = Plan(models=(incumbent,))
        self._otherwise = otherwise
        self._seed = seed

    @classmethod
    def fit(
        cls,
        train: Recording,
        situations: Sequence[Situation],
        incumbent: str,
        *,
        max_loss: float = MAX_LOSS,
        otherwise: Policy | None = None,
        traffic: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> Self:
        """Learn from training prompts, seen as `situations`; the arguments are those of `learning.fit`."""
        arms = {str(plan): plan for plan in arms_of(train, incumbent)}
        rows = []
        for prompt, situation in zip(train.prompts, situations, strict=True):
            served = {name: serve(plan, prompt) for name, plan in arms.items()}
            scores = {name: Scored(s.score, s.cost_usd) for name, s in served.items()}
            rows.append(Labelled(identity=_identity(situation), scores=scores))
        return cls(
            fit(rows, arms, incumbent, max_loss=max_loss, traffic=traffic, seed=seed), incumbent, otherwise, seed=seed
        )

    def plans(self, situations: Sequence[Situation]) -> list[Plan]:
        """Look each identity up."""
        draws = random.Random(self._seed)
        found: list[Plan | None] = []
        for situation in situations:
            draw = draws.random()
            chosen = self.policy and self.policy.choose(_identity(situation).key, draw)
            found.append(chosen.plan if chosen else None)
        unknown = [i for i, plan in enumerate(found) if plan is None]
        others = self._otherwise.plans([situations[i] for i in unknown]) if self._otherwise else ()
        for i, plan in zip(unknown, others or [self._incumbent] * len(unknown), strict=True):
            found[i] = plan
        return [plan or self._incumbent for plan in found]


def _identity(situation: Situation) -> Identity:
    return Identity(situation.identity or "", situation.task_type)
