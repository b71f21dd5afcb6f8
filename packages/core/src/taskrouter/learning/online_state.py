"""How what was learned while serving is stored: sums per identity and plan, no prompts and no answers."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from taskrouter.decision import Loss, Plan
from taskrouter.learning.cases import Arm, Case, Tally
from taskrouter.learning.drift import Watched

SCHEMA_VERSION: Literal[1] = 1

Amount = Annotated[float, Field(ge=0)]

_TALLIED: Final = tuple(Tally.__slots__)


def stored_case(case: Case) -> dict[str, Any]:
    """Return an identity's labels as JSON-ready values."""
    return {
        "task_type": case.task_type,
        "default": case.default,
        "steps": case.steps,
        "settled": case.settled,
        "announcements": case.announcements,
        "agreed": case.agreed,
        "agreed_score": case.agreed_score,
        "arms": [
            {
                "plan": arm.plan.to_dict(),
                "cost_usd": arm.cost_usd,
                "announced_usd": case.announced_usd[name],
                "loss": arm.loss._asdict(),
                "tally": {field: getattr(case.tallies[name], field) for field in _TALLIED},
            }
            for name, arm in case.arms.items()
        ],
    }


def restored_case(stored: StoredCase) -> Case:
    """Return the identity that `stored_case` wrote."""
    arms = {}
    for own in stored.arms:
        plan = Plan(kind=own.plan.kind, models=own.plan.models)
        arms[str(plan)] = Arm(plan=plan, cost_usd=own.cost_usd, loss=Loss(**own.loss.model_dump()))
    case = Case(stored.task_type, arms)
    case.default = stored.default
    case.steps, case.settled, case.announcements = stored.steps, stored.settled, stored.announcements
    case.agreed, case.agreed_score = stored.agreed, stored.agreed_score
    for name, own in zip(arms, stored.arms, strict=True):
        case.announced_usd[name] = own.announced_usd
        for field in _TALLIED:
            setattr(case.tallies[name], field, getattr(own.tally, field))
    return case


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _StoredPlan(_Stored):
    kind: Literal["single", "gate", "agree"]
    models: tuple[str, ...] = Field(min_length=1)


class _StoredLoss(_Stored):
    mean: float
    low: float
    high: float
    source: str


class _StoredTally(_Stored):
    announced_usd: Amount
    cost_usd: Amount
    doubt: Amount
    gain: float
    gain_squares: Amount
    guessed: Amount
    labels: Amount
    pairs: Amount
    score: Amount


class _StoredArm(_Stored):
    plan: _StoredPlan
    cost_usd: Amount
    announced_usd: Amount
    loss: _StoredLoss
    tally: _StoredTally


class StoredCase(_Stored):
    """One identity."""

    task_type: str
    default: str
    steps: Amount
    settled: bool
    announcements: int = Field(ge=0)
    agreed: Amount
    agreed_score: Amount
    arms: tuple[_StoredArm, ...] = Field(min_length=1)


class _StoredBudget(_Stored):
    model_config = ConfigDict(allow_inf_nan=True)

    points: Amount
    usd: Amount


class _StoredSpent(_Stored):
    steps: int = Field(ge=0)
    explored: Amount
    loss: Amount
    usd: Amount


class StoredLearner(_Stored):
    """All of it."""

    schema_version: Literal[1] = Field(alias="schema")
    incumbent: str
    max_loss: float
    budget: _StoredBudget
    spent: _StoredSpent
    seed: int
    looks: int = Field(ge=0)
    labels: Amount
    cases: dict[str, StoredCase]
    watches: tuple[tuple[str, str, Watched, list[Any]], ...]
