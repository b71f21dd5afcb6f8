"""One record of the ledger: a decision, the plans that had a chance, and the outcome, without any content.

It holds what a later policy needs to decide the same step again without its text: the profile, what the answers could
be compared by, and which models were out at the moment; and what whoever pays or is on call asks for: the tenant, each
call with its tokens, price and time, and why it was decided so. Of runs only a digest is kept, of sessions and tags
nothing.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, NamedTuple

from taskrouter.decision import Decision, Plan
from taskrouter.explaining import shortened
from taskrouter.learning import identify, plain_name
from taskrouter.outcome import Attempt, Ending, Usage
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
"""Of money, whose sums are to be the same everywhere."""
ROUGH: Final = 5
"""Digits of what only explains."""
RANKED: Final = 10
"""Plans of a ranking that are kept."""
LONGEST: Final = 200
"""Characters of a name or a reason that are kept."""


class Noted(NamedTuple):
    """What a record is made of: taken in a moment, and without the prompt and the answer."""

    decision: Decision
    identity: str
    at_s: float
    """Seconds since the epoch."""
    tools: bool
    comparable: Comparison | None
    ending: Ending
    trace: tuple[str, str] | None
    """Ids of the trace and of its route span, hexadecimal; None where nobody listens."""


def noted(
    step: Step, decision: Decision, ending: Ending, *, at_s: float, trace: tuple[str, str] | None = None
) -> Noted:
    """Take from a step that is over what its record is made of.

    Args:
        step: the step; of it only names of agent and node, as the identity has them, and the kind of answer are kept.
        decision: what was decided.
        ending: what came of it.
        at_s: time, seconds since the epoch.
        trace: ids of the trace and of the route span.
    """
    return Noted(
        decision=decision,
        identity=decision.identity or identify(step, decision.profile).key,
        at_s=at_s,
        tools=bool(step.tools),
        comparable=check_of(step, decision.profile) if decision.several else None,
        ending=ending,
        trace=trace,
    )


def record_of(known: Noted) -> dict[str, Any]:
    """Return a record as JSON-ready values."""
    decision, context = known.decision, known.decision.context
    loss = decision.expected_loss
    return {
        "v": VERSION,
        "id": decision.id,
        "at_s": round(known.at_s, 3),
        "identity": known.identity,
        "agent": plain_name(context.agent),
        "node": plain_name(context.node),
        "index": context.index,
        "tenant": None if context.tenant is None else context.tenant[:LONGEST],
        "run": None if context.run_id is None else digest(context.run_id),
        "of": decision.of,
        "trace": known.trace,
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
        "loss": {"mean": _short(loss.mean), "low": _short(loss.low), "high": _short(loss.high), "source": loss.source},
        "alternatives": [
            {"plan": plan.to_dict(), "propensity": propensity, "cost_usd": expected_usd(decision, plan)}
            for plan, propensity in decision.alternatives
        ],
        "explained": _explained(decision),
        "outcome": _outcome(known.ending),
    }


def digest(name: str) -> str:
    """Return what a run is known by in the ledger: the same for all its steps, and not its name."""
    return sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]


def _explained(decision: Decision) -> dict[str, Any]:
    """What only explains a decision. The classifier's signals are left out: they hint at what was asked."""
    return {
        "detail": decision.detail,
        "duration_s": _short(decision.duration_s, ROUGH),
        "fallbacks": list(decision.fallbacks),
        "regions": None if decision.regions is None else sorted(decision.regions),
        "certificate": decision.certificate,
        "ranking": [
            {
                "plan": row.plan.to_dict(),
                "score": _short(row.score, ROUGH),
                "quality": _short(row.quality.mean, ROUGH),
                "source": shortened(row.quality.source)[:LONGEST],
                "loss": _short(row.loss.mean, ROUGH),
                "cost_usd": _short(row.cost_usd),
                **({} if row.latency_s is None else {"latency_s": _short(row.latency_s, ROUGH)}),
            }
            for row in decision.ranking[:RANKED]
        ],
        "rejected": [{"model": r.model, "code": r.code, "detail": r.detail[:LONGEST]} for r in decision.rejected],
    }


def _outcome(ending: Ending) -> dict[str, Any]:
    return {
        "status": ending.status,
        "model": None if ending.answered is None else ending.answered.model,
        "cost_usd": _short(ending.cost_usd),
        "latency_s": round(ending.latency_s, 4),
        "check": ending.check,
        "error_type": ending.error_type,
        "calls": [_call(attempt, attempt is ending.answered) for attempt in ending.attempts],
        "proposals": [{"model": p.model, "status": p.status, "same": p.same} for p in ending.proposals],
    }


def _call(attempt: Attempt, taken: bool) -> dict[str, Any]:
    """A call, without what it has nothing to say of."""
    usage = attempt.usage or Usage()
    said = {
        "deployment": attempt.deployment,
        "error_type": attempt.error_type,
        "first_token_s": _short(attempt.first_token_s, ROUGH),
        "served": attempt.served_model[:LONGEST] if attempt.served_model else None,
        "taken": taken or None,
        "forced": attempt.forced or None,
        "cached_tokens": usage.cached_input_tokens or None,
        "estimated": usage.estimated or None,
        "waited_s": _short(attempt.waited_s, ROUGH) or None,
    }
    return {
        "model": attempt.model,
        "role": attempt.role,
        "status": attempt.status,
        "cost_usd": _short(attempt.cost_usd),
        "latency_s": round(attempt.latency_s, 4),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        **{name: value for name, value in said.items() if value is not None},
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


def _short(value: float | None, digits: int = DIGITS) -> float | None:
    """A number without the digits that only make a record longer."""
    return None if value is None else float(f"{value:.{digits}g}")
