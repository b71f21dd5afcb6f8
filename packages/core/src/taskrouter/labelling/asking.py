"""Asking models of the pool on behalf of a step, within all that holds for the step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from taskrouter.budget import Purse
from taskrouter.config import ModelConfig
from taskrouter.decision import Decision, Plan, Rejection
from taskrouter.errors import NoEligibleModelError, PluginError
from taskrouter.policy import Eligibility
from taskrouter.profile import TaskProfile
from taskrouter.shadow.choosing import harmless
from taskrouter.step import Message, Step
from taskrouter.trials import Bounds, Trials


class PoolAsk:
    """See `taskrouter.ports.Ask`.

    Args:
        models: the pool by id.
        trials: makes what sends steps to plans.
        purse: returns the account of this day.
        sidelined: returns the models that are out for the moment.
    """

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        trials: Callable[[], Trials],
        *,
        purse: Callable[[], Purse],
        sidelined: Callable[[], Collection[str]],
    ) -> None:
        self.models: Collection[str] = tuple(models)
        self._trials = trials
        self._purse = purse
        self._sidelined = sidelined
        self._current = threading.local()

    def __call__(self, messages: Sequence[Message], *, model: str) -> str:
        """Return the text of a model's answer."""
        held: tuple[Step, Trials, Bounds] | None = getattr(self._current, "held", None)
        if held is None:
            raise PluginError("a labeller may ask models inside its `label` only, in the thread that it is called in")
        step, trials, bounds = held
        if model not in self.models:
            raise PluginError(f"a labeller asked for {model!r:.80}; the pool has {', '.join(self.models)}")
        plan = Plan(models=(model,))
        if not harmless(plan, trials.models, self._sidelined()):
            detail = "it is out for the moment, or its provider runs tools by itself"
            raise NoEligibleModelError([Rejection(model=model, code="sidelined", detail=detail)])
        asked = Step(messages=messages, context=step.context, task_type="classification")
        decision = trials.decide(asked, plan, reason="label", within=bounds)
        return trials.run(asked, decision, purses=(self._purse(),)).view.text

    @contextmanager
    def on_behalf_of(self, step: Step, decision: Decision) -> Iterator[Bounds]:
        """Let this thread ask on behalf of a step, for which that was decided."""
        trials = self._trials()
        bounds = trials.bounds(step, decision=decision)
        self._current.held = step, trials, bounds
        try:
            yield bounds
        finally:
            self._current.held = None


def check_remote(place: ModelConfig, bounds: Bounds) -> None:
    """Make sure that what a step says may leave the process for a place that is no model of the pool.

    Raises:
        NoEligibleModelError: a rule or the caller allows only some models, asks for regions or tags that the place does
            not have, or for a price that nobody knows.
    """
    # Nothing is generated there, so no profile and no window matter.
    eligible, rejected = Eligibility([place], margin=1.0).check(
        TaskProfile(task_type="unknown", confidence=0.0), bounds.demands, max_cost_usd=bounds.max_cost_usd
    )
    if not eligible:
        raise NoEligibleModelError(rejected)
