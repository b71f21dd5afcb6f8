"""What a policy may see of a recorded prompt, and what every policy under evaluation does with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from taskrouter.decision import Plan
from taskrouter.evaluation.recordings import Recording
from taskrouter.learning import Identity
from taskrouter.profile import UNKNOWN
from taskrouter.step import Step, StepContext


class Situation(NamedTuple):
    """A prompt without its outcomes: a policy that gets no labels cannot use them."""

    step: Step
    identity: str | None
    """Name of the kind of step; None where it is not known."""
    task_type: str = UNKNOWN
    """The kind of task that the router takes it for."""


class Policy(Protocol):
    """A way to choose, ready to be tried on prompts."""

    name: str

    def plans(self, situations: Sequence[Situation]) -> list[Plan]:
        """Choose a plan for each prompt."""
        ...


def by_task(recording: Recording, identify: Callable[[Step], Identity] | None = None) -> list[Situation]:
    """See each prompt with its task as the identity, as an agent framework would name its node.

    Args:
        recording: the prompts.
        identify: tells the identity of a step; of it the task type is taken.
    """
    steps = [(prompt.step, prompt.task) for prompt in recording.prompts]
    return [Situation(step, task, identify(step).task_type if identify else UNKNOWN) for step, task in steps]


def by_text(recording: Recording, identify: Callable[[Step], Identity]) -> list[Situation]:
    """See each prompt without its task: the identity is what the router makes of the text."""
    situations = []
    for prompt in recording.prompts:
        step = replace(prompt.step, context=StepContext())
        situations.append(Situation(step, *identify(step)))
    return situations
