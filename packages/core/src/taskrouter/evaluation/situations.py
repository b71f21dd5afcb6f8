"""What a policy may see of a recorded prompt, and what every policy under evaluation does with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from taskrouter.decision import Plan
from taskrouter.evaluation.recordings import Recording
from taskrouter.step import Step, StepContext


class Situation(NamedTuple):
    """A prompt without its outcomes: a policy that gets no labels cannot use them."""

    step: Step
    identity: str | None
    """Name of the kind of step; None where it is not known."""


class Policy(Protocol):
    """A way to choose, ready to be tried on prompts."""

    name: str

    def plans(self, situations: Sequence[Situation]) -> list[Plan]:
        """Choose a plan for each prompt."""
        ...


def by_task(recording: Recording) -> list[Situation]:
    """See each prompt with its task as the identity, as an agent framework would name its node."""
    return [Situation(prompt.step, prompt.task) for prompt in recording.prompts]


def by_task_type(recording: Recording, classify: Callable[[Step], str]) -> list[Situation]:
    """See each prompt without its task: the identity is the task type that `classify` finds in the text."""
    bare = [replace(prompt.step, context=StepContext()) for prompt in recording.prompts]
    return [Situation(step, classify(step)) for step in bare]
