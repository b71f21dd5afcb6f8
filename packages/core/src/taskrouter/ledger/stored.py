"""A record of the ledger, read back: what `record_of` wrote, validated at the border."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from taskrouter.decision import TRIAL, Plan, PlanKind
from taskrouter.learning import Identity
from taskrouter.learning.evidence import Remembered
from taskrouter.outcome import AttemptStatus, Check, OutcomeStatus, Role
from taskrouter.planning.checks import Check as Comparison
from taskrouter.profile import FAMILIES, UNKNOWN, Evidence, Requirements, TaskProfile

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How half of a character, or one of two halves that belong together, begins in JSON."""


def parsed(text: str | bytes) -> Any:
    """Parse a row of the ledger. Half a character, which nobody could print, becomes a question mark.

    Raises:
        ValueError: it is no JSON.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    try:
        document = json.loads(text)
        if _HALF.search(text):
            return json.loads(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return document


Moment: TypeAlias = Annotated[float, Field(ge=0, le=250e9)]
"""Seconds since the epoch, within the years that a calendar can show."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class StoredPlan(_Stored):
    """A plan, as it is kept."""

    kind: PlanKind = "single"
    models: tuple[str, ...] = Field(min_length=1)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return Plan(kind=self.kind, models=self.models)


class StoredAlternative(_Stored):
    """A plan that might have been chosen instead."""

    plan: StoredPlan
    propensity: float = Field(gt=0, le=1)
    cost_usd: float | None = Field(default=None, ge=0)


class StoredProfile(_Stored):
    """What a step was taken for."""

    task_type: str = UNKNOWN
    confidence: float = Field(default=0.0, ge=0, le=1)
    domain: str = "general"
    language: str = "en"
    complexity: float = Field(default=0.0, ge=0, le=1)
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    requirements: tuple[Literal["tools", "vision", "json_schema"], ...] = ()
    sensitivity: str = "unspecified"
    evidence: Evidence = "none"

    @property
    def profile(self) -> TaskProfile:
        """The profile, without what only explains it."""
        given = self.model_dump(exclude={"requirements"})
        needs = Requirements(**dict.fromkeys(self.requirements, True))
        return TaskProfile(**given, family=FAMILIES.get(self.task_type, UNKNOWN), requirements=needs)


class StoredCall(_Stored):
    """One call to one model."""

    model: str
    role: Role = "primary"
    status: AttemptStatus = "ok"
    cost_usd: float | None = Field(default=None, ge=0)
    latency_s: float | None = Field(default=None, ge=0)
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    estimated: bool = False
    """Whether the tokens are our estimate, not the provider's count."""
    deployment: str | None = None
    error_type: str | None = None
    first_token_s: float | None = Field(default=None, ge=0)
    waited_s: float = Field(default=0.0, ge=0)
    forced: bool = False
    served: str | None = None
    """The model that the provider says has answered."""
    taken: bool = False
    """Whether its answer was taken."""


class StoredProposal(_Stored):
    """What one proposer came to."""

    model: str
    status: AttemptStatus = "ok"
    same: bool | None = None


class StoredOutcome(_Stored):
    """What came of a decision."""

    status: OutcomeStatus = "ok"
    model: str | None
    """The model that answered; None: none did."""
    cost_usd: float | None = Field(default=None, ge=0)
    latency_s: float | None = Field(default=None, ge=0)
    check: Check = "none"
    error_type: str | None = None
    """Kind of what was raised in place of an answer."""
    calls: tuple[StoredCall, ...] = ()
    proposals: tuple[StoredProposal, ...] = ()


class StoredLoss(_Stored):
    """What the plan was expected to lose against the incumbent, as a share, with its 95 % interval."""

    mean: float
    low: float
    high: float
    source: str = ""


class StoredRow(_Stored):
    """A line of the ranking."""

    plan: StoredPlan
    score: float
    quality: float
    source: str = ""
    loss: float = 0.0
    cost_usd: float | None = None
    latency_s: float | None = None


class StoredRejection(_Stored):
    """Why a model was left out."""

    model: str
    code: str
    detail: str = ""


class StoredExplanation(_Stored):
    """What only explains a decision."""

    detail: str = ""
    duration_s: float | None = Field(default=None, ge=0)
    fallbacks: tuple[str, ...] = ()
    regions: tuple[str, ...] | None = None
    certificate: str | None = None
    ranking: tuple[StoredRow, ...] = ()
    rejected: tuple[StoredRejection, ...] = ()


class Record(_Stored):
    """A record of the ledger, read back."""

    v: Literal[1]
    id: str = Field(pattern=r"^dec_[0-9a-f]{16}$")
    at_s: Moment = 0.0
    identity: str
    agent: str | None = None
    node: str | None = None
    index: int | None = None
    tenant: str | None = None
    run: str | None = None
    """What all steps of a run share: a digest of its id."""
    of: str | None = None
    """Of a trial: id of the decision for whose step it was made."""
    trace: tuple[str, str] | None = None
    """Ids of the trace and of its route span, hexadecimal."""
    policy: str = ""
    policy_version: str = ""
    reason: str = ""
    rule: str | None = None
    profile: StoredProfile = StoredProfile()
    tools: bool = False
    """Whether the step offered tools."""
    comparable: Comparison | None = None
    """What two answers could have been compared by; None where they could not."""
    several: bool = True
    """Whether a plan of several models could have been carried out."""
    use: frozenset[str] | None = None
    """The models that the caller allowed; None: any."""
    out: Mapping[str, str] = {}
    """Models that were left out for reasons of the moment, such as an open breaker, with the code."""
    incumbent: str = ""
    plan: StoredPlan
    propensity: float | None = Field(default=None, gt=0, le=1)
    cost_usd: float | None = Field(default=None, ge=0)
    """Expected cost of the plan."""
    loss: StoredLoss | None = None
    alternatives: tuple[StoredAlternative, ...] = ()
    explained: StoredExplanation = StoredExplanation()
    outcome: StoredOutcome

    @property
    def answered(self) -> bool:
        """Whether it is a step of the application that some model has answered: what replays and labels are about."""
        return self.outcome.model is not None and self.outcome.status in ("ok", "fallback") and not self.is_trial

    @property
    def is_trial(self) -> bool:
        """Whether it was made to compare plans, by a shadow, a judge or a calibration, and not to answer anybody."""
        return self.policy == TRIAL

    @classmethod
    def read(cls, text: str | bytes) -> Record:
        """Read a record.

        Raises:
            ValueError: it is none, or of another version.
        """
        return cls.model_validate(parsed(text))

    @property
    def remembered(self) -> Remembered:
        """What a label of this step needs to teach."""
        costs: dict[str, float] = {}
        for call in self.outcome.calls:
            if call.cost_usd is not None:
                costs[call.model] = costs.get(call.model, 0.0) + call.cost_usd
        assert self.outcome.model is not None, self.id  # noqa: S101 - asked of answered steps alone
        return Remembered(
            identity=Identity(self.identity, self.profile.task_type),
            plan=self.plan.plan,
            propensity=1.0 if self.propensity is None else self.propensity,
            model=self.outcome.model,
            fallback=self.outcome.model not in self.plan.models,
            cost_usd=self.outcome.cost_usd,
            costs_usd=costs,
            agreed=self.outcome.check == "agreed",
            same={proposal.model: proposal.same for proposal in self.outcome.proposals},
            one_form="tools" not in self.profile.requirements,
        )
