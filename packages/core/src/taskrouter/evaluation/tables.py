"""The plainest use of labels: per step identity the cheapest model that did as well as the incumbent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Self

from taskrouter.decision import Plan
from taskrouter.evaluation.baselines import singles
from taskrouter.evaluation.recordings import Prompt, Recording
from taskrouter.evaluation.situations import Situation


class TaskTable:
    """Takes the cheapest model whose mean training score in an identity is at least the incumbent's there.

    Neither shrunk nor tested: with few labels per identity it takes luck for quality. Identities that were not in the
    training prompts stay with the incumbent.
    """

    name = "task-table"

    def __init__(self, choices: dict[str, str], incumbent: str) -> None:
        self.choices = choices
        self._incumbent = incumbent

    @classmethod
    def fit(cls, train: Recording, situations: Sequence[Situation], incumbent: str) -> Self:
        """Fill the table from training prompts, seen as `situations`."""
        groups: dict[str, list[Prompt]] = defaultdict(list)
        for prompt, situation in zip(train.prompts, situations, strict=True):
            if situation.identity is not None:
                groups[situation.identity].append(prompt)
        choices = {
            identity: _cheapest_as_good(Recording(prompts=tuple(prompts), models=train.models), incumbent)
            for identity, prompts in groups.items()
        }
        return cls(choices, incumbent)

    def plans(self, situations: Sequence[Situation]) -> list[Plan]:
        """Look each identity up."""
        return [Plan(models=(self.choices.get(s.identity or "", self._incumbent),)) for s in situations]


def _cheapest_as_good(recording: Recording, incumbent: str) -> str:
    alone = singles(recording)
    needed = next(single.score for single in alone if single.model == incumbent)
    good = [single for single in alone if single.score >= needed]
    # Of equal prices the better one, and the incumbent before any other.
    return min(good, key=lambda s: (s.cost_usd, -s.score, s.model != incumbent, s.model)).model
