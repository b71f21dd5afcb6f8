"""One record of the ledger: a decision, the plans that had a chance, and the outcome, without any content.

It holds what a later policy needs to decide the same step again without its text: the profile, what the answers could
be compared by, and which models were out at the moment. Names of tenants, sessions, runs and tags are not kept.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from taskrouter.decision import Decision, Plan
from taskrouter.learning import Identity, plain_name
from taskrouter.outcome import Attempt, Check, Outcome, OutcomeStatus, Proposal
from taskrouter.planning import check_of
from taskrouter.planning.checks import Check as Comparison
from taskrouter.profile import TaskProfile
from taskrouter.step import Step

DECISIONS: Final = "decisions"
"""The log that decisions are appended to."""
VERSION: Final = 1
"""Of the records' schema; readers skip other versions and say so."""
STATIC: Final = frozenset({"rule", "tools", "vision", "json_schema", "region", "tags", "context_window", "max_cost"})
"""Codes of rejections that follow from configuration and profile; all others are about the moment."""
DIGITS: Final = 9


class Noted(NamedTuple):
    """What a record is made of: taken in a moment, and without the prompt and the answer."""

    decision: Decision
    identity: str
    at_s: float
    """Seconds since the epoch."""
    tools: bool
    comparable: Comparison | None
    status: OutcomeStatus
    model: str
    cost_usd: float | None
    latency_s: float
    check: Check
    attempts: tuple[Attempt, ...]
    proposals: tuple[Proposal, ...]


def noted(step: Step, outcome: Outcome[Any], identity: Identity, at_s: float) -> Noted:
    """Take from an answered step what its record is made of.

    Args:
        step: the step; of it only names of agent and node, as the identity has them, and the kind of answer are kept.
        outcome: what came of it.
        identity: of the step.
        at_s: time, seconds since the epoch.
    """
    decision = outcome.decision
    return Noted(
        decision=decision,
        identity=identity.key,
        at_s=at_s,
        tools=bool(step.tools),
        comparable=check_of(step, decision.profile) if decision.several else None,
        status=outcome.status,
        model=outcome.model,
        cost_usd=outcome.cost_usd,
        latency_s=outcome.latency_s,
        check=outcome.check,
        attempts=outcome.attempts,
        proposals=outcome.proposals,
    )


def record_of(known: Noted) -> dict[str, Any]:
    """Return a record as JSON-ready values."""
    decision = known.decision
    loss = decision.expected_loss
    return {
        "v": VERSION,
        "id": decision.id,
        "at_s": round(known.at_s, 3),
        "identity": known.identity,
        "agent": plain_name(decision.context.agent),
        "node": plain_name(decision.context.node),
        "policy": decision.policy,
        "policy_version": decision.policy_version,
        "reason": decision.reason,
        "rule": decision.rule,
        "profile": _profile(decision.profile),
        "tools": known.tools,
        "comparable": known.comparable,
        "several": decision.several,
        "use": None if decision.use is None else sorted(decision.use),
        "out": {r.model: r.code for r in decision.rejected if r.code not in STATIC},
        "incumbent": decision.incumbent,
        "plan": decision.plan.to_dict(),
        "propensity": decision.propensity,
        "cost_usd": expected_usd(decision, decision.plan),
        "loss": {"mean": _short(loss.mean), "low": _short(loss.low), "high": _short(loss.high)},
        "alternatives": [
            {"plan": plan.to_dict(), "propensity": propensity, "cost_usd": expected_usd(decision, plan)}
            for plan, propensity in decision.alternatives
        ],
        "outcome": {
            "status": known.status,
            "model": known.model,
            "cost_usd": _short(known.cost_usd),
            "latency_s": round(known.latency_s, 4),
            "check": known.check,
            "calls": [
                {"model": a.model, "role": a.role, "status": a.status, "cost_usd": _short(a.cost_usd)}
                for a in known.attempts
            ],
            "proposals": [{"model": p.model, "status": p.status, "same": p.same} for p in known.proposals],
        },
    }


def expected_usd(decision: Decision, plan: Plan) -> float | None:
    """Return what a plan was expected to cost, US dollars; None where it is not known."""
    board, profile = decision.board, decision.profile
    for row in board.plans:
        if row.plan == plan and row.cost_usd is not None:
            return _short(row.cost_usd)
    if len(plan.models) > 1:
        return None
    for card in board.cards:
        if card.id == plan.models[0]:
            cached = (board.cached_tokens or {}).get(card.id, 0)
            return _short(card.cost_usd(profile.input_tokens, profile.output_tokens, cached))
    return None


def _profile(profile: TaskProfile) -> dict[str, Any]:
    return {
        "task_type": profile.task_type,
        "confidence": round(profile.confidence, 4),
        "domain": profile.domain,
        "language": profile.language,
        "complexity": round(profile.complexity, 4),
        "input_tokens": profile.input_tokens,
        "output_tokens": profile.output_tokens,
        "requirements": [n for n in ("tools", "vision", "json_schema") if getattr(profile.requirements, n)],
        "sensitivity": profile.sensitivity,
        "evidence": profile.evidence,
    }


def _short(value: float | None) -> float | None:
    """A number without the digits that only make a record longer."""
    return None if value is None else float(f"{value:.{DIGITS}g}")
