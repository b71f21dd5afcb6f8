"""Which steps a run was made of, and what part of a run's outcome each of them is credited with."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from taskrouter.decision import Decision
from taskrouter.outcome import Outcome

RUNS = 1_000
"""Runs that are remembered; the one whose last step is longest ago goes first."""
STEPS = 1_000
"""Steps of a run that are remembered; the first ones go first."""


class RunCredit:
    """Remembers the steps of the latest runs, and divides a run's outcome among them.

    One outcome of a run counts as one label, however many steps it had: the shares sum to 1. A step's share is its part
    of the uncertainty, the variance of the quality that was expected of the model that answered. A run that failed says
    little about a model that is known to be good at its task, and much about one of which little is known.
    """

    def __init__(self) -> None:
        self._runs: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, outcome: Outcome[Any]) -> None:
        """Remember a step that was answered, if it belongs to a run."""
        decision = outcome.decision
        if (run_id := decision.context.run_id) is None:
            return
        uncertainty = _variance(decision, outcome.model)
        with self._lock:
            steps = self._runs.setdefault(run_id, OrderedDict())
            self._runs.move_to_end(run_id)
            steps[decision.id] = uncertainty
            if len(steps) > STEPS:
                steps.popitem(last=False)
            if len(self._runs) > RUNS:
                self._runs.popitem(last=False)

    def after_fork_in_child(self) -> None:
        """Take a new lock: a thread that stayed with the parent may hold the old one."""
        self._lock = threading.Lock()

    def shares(self, run_id: str) -> Mapping[str, float]:
        """Return the share of every known step of a run, by decision id; empty for an unknown run."""
        with self._lock:
            steps = dict(self._runs.get(run_id, {}))
        total = sum(steps.values())
        return {decision_id: variance / total for decision_id, variance in steps.items()}


def _variance(decision: Decision, model: str) -> float:
    """Variance of a Beta distribution with the mean and the weight of the estimate; never 0."""
    board = decision.board
    for card, quality in zip(board.cards, board.quality, strict=True):
        if card.id == model:
            mean = min(max(quality.mean, 0.01), 0.99)
            return mean * (1.0 - mean) / (max(quality.weight, 0.0) + 1.0)
    return 0.25  # it came in without an estimate: as uncertain as can be
