"""Where the router's own learners and certificates are plugged in: what they must look like to be measured here.

A dictionary that is empty measures the comparisons alone, and targets that nobody was tried against count as missed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from benchmarks.quality.certifying import certified

from taskrouter.decision import Plan
from taskrouter.evaluation.recordings import Recording
from taskrouter.evaluation.replay import Served
from taskrouter.evaluation.situations import Policy, Situation


@dataclass(frozen=True)
class Pool:
    """What is known before the first outcome: names and prices, and which model serves today."""

    models: tuple[str, ...]
    incumbent: str
    usd_per_call: dict[str, float]
    """Mean cost of a call; prices and lengths are no labels."""


class Choice(NamedTuple):
    """What an online learner does with a step."""

    plan: Plan
    propensity: float
    """Probability with which this plan was chosen."""


class Proposal(NamedTuple):
    """What the outcome of a comparison tells of one of the models that were asked first."""

    same: bool
    """Whether its answer equals the one that was taken."""
    cost_usd: float


Proposals: TypeAlias = Mapping[str, Proposal]
"""By model; empty for a plan that compares nothing."""


class OnlineLearner(Protocol):
    """Learns from the outcome of what it chose, and of nothing else."""

    def choose(self, situation: Situation) -> Choice:
        """Choose a plan for a step."""
        ...

    def observe(self, situation: Situation, choice: Choice, served: Served, proposals: Proposals) -> None:
        """Be told what came of it."""
        ...


MakeLearner: TypeAlias = Callable[[Pool, int], OnlineLearner]
"""From the pool and a seed."""


class Certify(Protocol):
    """Learns a policy from a sample and certifies it, or refuses."""

    def __call__(
        self, sample: Recording, situations: Sequence[Situation], incumbent: str, *, eps: float, confidence: float
    ) -> Policy | None:
        """Return a policy whose harm is at most `eps` with that confidence, or None: not certifiable at this n.

        Harm: the share of steps that are answered worse than by the incumbent.
        """
        ...


CERTIFIERS: dict[str, Certify] = {"certified": certified}
"""The router's certificates by name; `certificates` holds `certified` against its targets."""


class Announced(NamedTuple):
    """Plans of a policy without labels, and the loss it expects of them."""

    plans: list[Plan]
    expected_loss_points: float
    within_points: tuple[float, float]
    """Mean ends of the 95 % intervals that its decisions announce for that loss."""


Transfer: TypeAlias = Callable[[list[Recording], Recording, str], Announced]
"""From recordings of other data sets, the recording to be judged on (its outcomes are only for the prices), and the
incumbent."""

TRANSFERS: dict[str, Transfer] = {}
"""Priors fitted on other data sets, by name; `transfer` holds `balanced` against its targets."""


class PlanRun(Protocol):
    """Chooses the plans of a whole run at once."""

    def __call__(
        self, train: Recording, situations: Sequence[Situation], incumbent: str, steps: dict[str, float]
    ) -> dict[str, Plan]:
        """Return a plan for each identity in `steps`, such that the run succeeds as often as with the incumbent.

        A run succeeds if all its steps do; `steps` says how many of them a run has, of each identity.
        """
        ...


RUN_PLANNERS: dict[str, PlanRun] = {}
"""The router's planners of whole runs, by name; if `joint` is here, `runs` holds it against the targets."""
