"""The plainest use of labels: a table of mean scores per step identity, taken at its word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Self

from taskrouter.decision import Plan
from taskrouter.evaluation.baselines import singles
from taskrouter.evaluation.recordings import Prompt, Recording
from taskrouter.evaluation.situations import Situation
from taskrouter.learning.allocation import Option, Work, allocate


class TaskTable:
    """Takes per step identity the model that mean training scores speak for, chosen jointly over all identities.

    The cheapest choice whose pooled training score is at least the incumbent's. Neither shrunk nor tested: with few
    labels per identity it takes luck for quality. Identities that were not in the training prompts stay with the
    incumbent.
    """

    name = "task-table"

    def __init__(self, choices: Mapping[str, str], incumbent: str) -> None:
        self.choices = choices
        self._incumbent = incumbent

    @classmethod
    def fit(cls, train: Recording, situations: Sequence[Situation], incumbent: str) -> Self:
        """Fill the table from training prompts, seen as `situations`."""
        groups: dict[str, list[Prompt]] = defaultdict(list)
        for prompt, situation in zip(train.prompts, situations, strict=True):
            if situation.identity is not None:
                groups[situation.identity].append(prompt)
        work = {
            identity: Work(len(prompts), _means(Recording(prompts=tuple(prompts), models=train.models)))
            for identity, prompts in groups.items()
        }
        return cls(allocate(work, incumbent=incumbent, max_loss=0.0).choices, incumbent)

    def plans(self, situations: Sequence[Situation]) -> list[Plan]:
        """Look each identity up."""
        return [Plan(models=(self.choices.get(s.identity or "", self._incumbent),)) for s in situations]


def _means(recording: Recording) -> dict[str, Option]:
    return {single.model: Option(single.score, single.cost_usd) for single in singles(recording)}
