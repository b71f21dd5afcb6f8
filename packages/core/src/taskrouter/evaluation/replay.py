"""Replays a plan on a recorded prompt: what it would have scored and cost, every call charged."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from taskrouter.decision import Plan
from taskrouter.evaluation.recordings import Prompt, RecordedOutcome


class Served(NamedTuple):
    """What a plan made of one prompt."""

    score: float
    cost_usd: float
    calls: int
    latency_s: float | None
    """None where the latency of one of the calls is unknown."""


def serve(plan: Plan, prompt: Prompt) -> Served:
    """Carry out a plan on recorded outcomes.

    `gate` takes the first model's answer unless it is known to be invalid, and then asks the next. `agree` asks the
    first two models at once and takes the first one's answer if both gave the same valid one; else it asks the third
    too and takes that answer. Where no answer was recorded nothing agrees.
    """
    return _SERVE[plan.kind]([prompt.outcomes[model] for model in plan.models])


def agree(one: RecordedOutcome, other: RecordedOutcome) -> bool:
    """Whether two models gave the same answer, and none that is known to be invalid."""
    return one.answer is not None and one.answer == other.answer and one.valid is not False


def _single(outcomes: list[RecordedOutcome]) -> Served:
    only = outcomes[0]
    return Served(only.score, only.cost_usd, 1, only.latency_s)


def _gate(outcomes: list[RecordedOutcome]) -> Served:
    asked = 1
    while outcomes[asked - 1].valid is False and asked < len(outcomes):
        asked += 1
    return Served(
        outcomes[asked - 1].score,
        sum(outcome.cost_usd for outcome in outcomes[:asked]),
        asked,
        _add(*(outcome.latency_s for outcome in outcomes[:asked])),
    )


def _agree(outcomes: list[RecordedOutcome]) -> Served:
    one, other, judge = outcomes
    cost_usd = one.cost_usd + other.cost_usd
    both_s = None if one.latency_s is None or other.latency_s is None else max(one.latency_s, other.latency_s)
    if agree(one, other):
        return Served(one.score, cost_usd, 2, both_s)
    return Served(judge.score, cost_usd + judge.cost_usd, 3, _add(both_s, judge.latency_s))


def _add(*seconds: float | None) -> float | None:
    known = [s for s in seconds if s is not None]
    return sum(known) if len(known) == len(seconds) else None


_SERVE: dict[str, Callable[[list[RecordedOutcome]], Served]] = {"single": _single, "gate": _gate, "agree": _agree}
