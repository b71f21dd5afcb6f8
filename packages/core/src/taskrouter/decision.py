"""What was decided for a step, and why: plans, scores, rejections, `Decision`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from taskrouter.catalog.card import ModelCard
from taskrouter.catalog.priors import is_published
from taskrouter.explaining import Expected, Grounds, Left, Row, lines_of, shortened
from taskrouter.profile import TaskProfile
from taskrouter.step import StepContext

PlanKind: TypeAlias = Literal["single", "gate", "agree"]


_NO_CONTEXT = StepContext()
TRIAL = "trial"
"""The policy of decisions that nobody has asked for; see `taskrouter.trials`."""
Z95 = 1.96
"""Standard deviations to either side of a mean within which 95 % lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a step is answered: by one model, or by several and a check between them."""

    kind: PlanKind = "single"
    models: tuple[str, ...]
    """The models in the order of their part in the plan; for `single` just one."""

    def __str__(self) -> str:
        return self.models[0] if self.kind == "single" else f"{self.kind}({', '.join(self.models)})"

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready values."""
        return {"kind": self.kind, "models": list(self.models)}


class Loss(NamedTuple):
    """What a plan is expected to lose against the incumbent, a share of quality (0.01: one point); negative: a gain."""

    mean: float
    low: float
    """With `high` the 95 % interval, as wide as the evidence is thin."""
    high: float
    source: str
    """What it rests on."""


NO_LOSS = Loss(0.0, 0.0, 0.0, "the incumbent itself")


class ScorePart(NamedTuple):
    """One term of a score."""

    name: str
    value: float | None
    """The quantity in its own unit; None where it is unknown."""
    weight: float
    contribution: float | None
    """What it adds to the total; None where that cannot be told."""


class QualityEstimate(NamedTuple):
    """How often a model is expected to be right on a task type."""

    mean: float
    weight: float
    """Equivalent number of the user's own labels."""
    source: str
    cited: bool
    """Whether a published figure or the user's labels stand behind it; if not it is a wide guess from the tier."""

    @property
    def variance(self) -> float:
        """Of a Beta distribution with that mean and weight."""
        return self.mean * (1.0 - self.mean) / (self.weight + 1.0)

    @property
    def low(self) -> float:
        """One standard deviation below the mean: what can be counted on."""
        return max(0.0, self.mean - math.sqrt(self.variance))


_NOTHING_KNOWN = QualityEstimate(0.5, 0.0, "nothing is known", cited=False)


TASK_SD = 0.1
GUESS_SD = 0.2
"""Standard deviation of what a model loses on a task beside what two published figures say, and beside a guess. With it
95 % of the losses that were recorded lie within their intervals (`docs/decisions/0013-*.md`)."""


def loss_between(own: QualityEstimate, incumbent: QualityEstimate) -> Loss:
    """What a model is expected to lose, from two estimates that know nothing of each other."""
    deviation = math.sqrt(own.variance + incumbent.variance + _beside(own, incumbent) ** 2)
    mean = incumbent.mean - own.mean
    return Loss(mean, mean - Z95 * deviation, mean + Z95 * deviation, own.source)


def _beside(own: QualityEstimate, incumbent: QualityEstimate) -> float:
    if not (own.cited and incumbent.cited):
        return GUESS_SD
    return TASK_SD if is_published(own.source) or is_published(incumbent.source) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a model was not eligible."""

    model: str
    code: str
    """Low-cardinality code: `context_window`, `tools`, `vision`, `json_schema`, `region`, `tags`, `rule`, ...; for a
    model that is out for the moment `breaker_open`, `rate_limited`, `slow`, ..."""
    detail: str
    """The same for people, with the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPlan:
    """One line of the ranking."""

    plan: Plan
    score: float
    quality: QualityEstimate
    loss: Loss
    """What the plan is expected to lose against the incumbent."""
    cost_usd: float | None
    latency_s: float | None
    carbon_g: float | None
    parts: tuple[ScorePart, ...] = ()
    cached_tokens: int = 0
    """Tokens of the prompt that the provider is expected to read from its cache; `cost_usd` counts on it."""

    @property
    def model(self) -> str:
        """The plan's first model."""
        return self.plan.models[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """A plan that was weighed beside the single models: of several models, or with an expectation of its own."""

    plan: Plan
    score: float
    loss: Loss
    cost_usd: float | None
    """Expected price of all its calls, US dollars."""
    latency_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The scores of all eligible models, kept as columns: rows are built when somebody looks.

    Building twenty rows costs more than deciding; most decisions are never looked at.
    """

    cards: Sequence[ModelCard]
    quality: Sequence[QualityEstimate]
    scores: Sequence[float]
    order: Sequence[int]
    """Positions in the columns, best first."""
    parts: Sequence[tuple[ScorePart, ...]] = ()
    cached_tokens: Mapping[str, int] | None = None
    """Tokens of the prompt expected in the provider's cache, by model id."""
    latency_s: Mapping[str, float] | None = None
    """Latency as observed lately, seconds, by model id; it takes the place of the card's."""
    incumbent: str = ""
    incumbent_quality: QualityEstimate = _NOTHING_KNOWN
    plans: Sequence[PlanRow] = ()
    """Plans beside the single models, the chosen one first if it is one of them."""

    def rows(self, input_tokens: int, output_tokens: int, chosen: Plan) -> tuple[ScoredPlan, ...]:
        """The ranking for a call of that size: what was chosen first, then the best."""
        special = [self._plan_row(row, input_tokens, output_tokens) for row in self.plans]
        shown = {row.plan for row in special}
        singles = [row for i in self.order if (row := self._row(i, input_tokens, output_tokens)).plan not in shown]
        rows = sorted((*special, *singles), key=lambda row: row.score, reverse=True)
        return tuple(sorted(rows, key=lambda row: row.plan != chosen))

    def loss(self, chosen: Plan) -> Loss:
        """What that plan is expected to lose against the incumbent."""
        for row in self.plans:
            if row.plan == chosen:
                return row.loss
        if chosen.models[0] == self.incumbent:
            return NO_LOSS
        known = zip(self.cards, self.quality, strict=True)
        own = next((quality for card, quality in known if card.id == chosen.models[0]), _NOTHING_KNOWN)
        return loss_between(own, self.incumbent_quality)

    def _plan_row(self, row: PlanRow, input_tokens: int, output_tokens: int) -> ScoredPlan:
        base = self.incumbent_quality
        cost_usd = row.cost_usd
        if cost_usd is None and len(row.plan.models) == 1:
            card = next((card for card in self.cards if card.id == row.plan.models[0]), None)
            cost_usd = None if card is None else card.cost_usd(input_tokens, output_tokens)
        expected = QualityEstimate(base.mean - row.loss.mean, base.weight, row.loss.source, base.cited)
        return ScoredPlan(
            plan=row.plan,
            score=row.score,
            quality=expected,
            loss=row.loss,
            cost_usd=cost_usd,
            latency_s=row.latency_s,
            carbon_g=None,
        )

    def _row(self, i: int, input_tokens: int, output_tokens: int) -> ScoredPlan:
        card = self.cards[i]
        plan = Plan(models=(card.id,))
        cached = (self.cached_tokens or {}).get(card.id, 0)
        observed = (self.latency_s or {}).get(card.id)
        return ScoredPlan(
            plan=plan,
            score=self.scores[i],
            quality=self.quality[i],
            loss=self.loss(plan),
            cost_usd=card.cost_usd(input_tokens, output_tokens, cached),
            latency_s=card.latency_s(output_tokens) if observed is None else observed,
            carbon_g=card.carbon_g(output_tokens),
            parts=self.parts[i] if self.parts else (),
            cached_tokens=cached,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The choice made for one step. Pure data: it can be logged, compared and replayed."""

    id: str
    context: StepContext = _NO_CONTEXT
    """Where in the application the step came from."""
    plan: Plan
    profile: TaskProfile
    policy: str
    """Name of the policy that chose."""
    policy_version: str
    """Hash of everything the choice depends on: policy, cards, rules."""
    reason: str
    """Low-cardinality code; `explain` says it in words."""
    detail: str
    """The reason in words, with its numbers."""
    incumbent: str
    fallbacks: tuple[str, ...]
    """Models to try next if the plan fails, in order."""
    rejected: tuple[Rejection, ...]
    propensity: float
    """Probability with which this plan was chosen; 1 for a deterministic choice."""
    duration_s: float
    """Time spent deciding."""
    rule: str | None = None
    """Name of the rule that matched last, if one did."""
    identity: str | None = None
    """The step identity that outcomes are learned for; None where nothing is learned."""
    certificate: str | None = None
    """What is promised of the learned policy that this follows, or why that has lapsed; None: it follows none with a
    certificate."""
    regions: frozenset[str] | None = None
    """Regions in which the step may be served; None: any."""
    alternatives: tuple[tuple[Plan, float], ...] = ()
    """Other plans that might have been chosen, each with its probability; empty for a deterministic choice."""
    several: bool = True
    """Whether a plan of several models could be carried out; not so for an answer that is shown while it comes."""
    use: frozenset[str] | None = None
    """The models that the caller allowed for this step; None: any."""
    of: str | None = None
    """Of a trial (a shadow, a judge, a label): id of the decision for whose step it is made; else None."""
    board: Board = field(repr=False)

    @property
    def is_trial(self) -> bool:
        """Whether it was made to compare plans, by a shadow, a judge or a calibration, and not to answer anybody."""
        return self.policy == TRIAL

    @property
    def model(self) -> str:
        """The model that is called first."""
        return self.plan.models[0]

    @property
    def ranking(self) -> tuple[ScoredPlan, ...]:
        """All eligible plans with their scores, best first."""
        return self.board.rows(self.profile.input_tokens, self.profile.output_tokens, self.plan)

    @property
    def expected_loss(self) -> Loss:
        """What the plan is expected to lose against the incumbent, with its 95 % interval."""
        return self.board.loss(self.plan)

    def explain(self) -> str:
        """The decision for a person on call: what the step is, what was chosen, why, and what was not."""
        return "\n".join(lines_of(_grounds(self)))

    def to_dict(self) -> dict[str, Any]:
        """The decision as JSON-ready values."""
        profile = self.profile
        return {
            "id": self.id,
            "model": self.model,
            "plan": self.plan.to_dict(),
            "expected_loss": self.expected_loss._asdict(),
            "identity": self.identity,
            "policy": self.policy,
            "policy_version": self.policy_version,
            "reason": self.reason,
            "detail": self.detail,
            "rule": self.rule,
            "certificate": self.certificate,
            "regions": None if self.regions is None else sorted(self.regions),
            "incumbent": self.incumbent,
            "fallbacks": list(self.fallbacks),
            "propensity": self.propensity,
            "alternatives": [{"plan": plan.to_dict(), "propensity": chance} for plan, chance in self.alternatives],
            "context": {
                "agent": self.context.agent,
                "node": self.context.node,
                "index": self.context.index,
                "run_id": self.context.run_id,
                "session_id": self.context.session_id,
                "tenant": self.context.tenant,
                "tags": sorted(self.context.tags),
            },
            "duration_s": self.duration_s,
            "profile": {
                "task_type": profile.task_type,
                "confidence": profile.confidence,
                "alternatives": [list(a) for a in profile.alternatives],
                "family": profile.family,
                "domain": profile.domain,
                "language": profile.language,
                "complexity": profile.complexity,
                "input_tokens": profile.input_tokens,
                "output_tokens": profile.output_tokens,
                "requirements": {
                    "tools": profile.requirements.tools,
                    "vision": profile.requirements.vision,
                    "json_schema": profile.requirements.json_schema,
                },
                "sensitivity": profile.sensitivity,
                "evidence": profile.evidence,
                "signals": list(profile.signals),
            },
            "ranking": [_row_dict(row) for row in self.ranking],
            "rejected": [{"model": r.model, "code": r.code, "detail": r.detail} for r in self.rejected],
        }


def _row_dict(row: ScoredPlan) -> dict[str, Any]:
    return {
        "model": row.model,
        "plan": row.plan.to_dict(),
        "score": row.score,
        "quality": row.quality._asdict(),
        "loss": row.loss._asdict(),
        "cost_usd": row.cost_usd,
        "latency_s": row.latency_s,
        "carbon_g": row.carbon_g,
        "cached_tokens": row.cached_tokens,
        "parts": [part._asdict() for part in row.parts],
    }


def _grounds(decision: Decision) -> Grounds:
    return Grounds(
        id=decision.id,
        model=decision.model,
        reason=decision.reason,
        detail=decision.detail,
        profile=decision.profile,
        policy=decision.policy,
        policy_version=decision.policy_version,
        rule=decision.rule,
        incumbent=decision.incumbent,
        propensity=decision.propensity,
        duration_s=decision.duration_s,
        certificate=decision.certificate,
        regions=None if decision.regions is None else sorted(decision.regions),
        loss=Expected(*decision.expected_loss),
        ranking=[_said(row) for row in decision.ranking],
        rejected=[Left(r.model, r.code, r.detail) for r in decision.rejected],
        fallbacks=decision.fallbacks,
    )


def _said(row: ScoredPlan) -> Row:
    source = shortened(row.quality.source)
    said = Row(str(row.plan), row.score, row.quality.mean, source, row.cost_usd, row.latency_s)
    return said._replace(cached_tokens=row.cached_tokens, parts=row.parts)
