"""What a new policy is worth on logged decisions: it is asked anew for each, and the log is weighed accordingly."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from taskrouter.evaluation.logged import Log, Logged
from taskrouter.evaluation.newpolicy import NewPolicy
from taskrouter.evaluation.offpolicy import (
    MAX_UNSUPPORTED,
    MIN_ESS,
    Case,
    Estimate,
    Overlap,
    OverlapError,
    effective,
    estimate,
    overlap,
    refuse,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What `taskrouter replay` found."""

    policy: str
    """Name of the new policy."""
    learned: str | None
    """Version of the learned policy that it follows where it can; None: there is none."""
    decisions: int
    """Decisions in the ledger that can be used."""
    unroutable: int
    """Of these, those that no model of the new configuration may take; they are left out."""
    overlap: Overlap
    labelled: int
    """Decisions with a label."""
    labels: int
    contradictory: int
    """Decisions whose labels contradict each other; their mean counts."""
    skipped: Mapping[str, int]
    """What of the ledger could not be used, by reason."""
    score: Estimate | None
    """None where no decision with support has a label."""
    cost_usd: Estimate | None
    """None where no decision with support has a known cost."""
    rules_left_out: tuple[str, ...]
    unknown_models: tuple[str, ...]
    """Models in the ledger that the new configuration does not have."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        found = self.overlap
        return {
            "policy": self.policy,
            "learned": self.learned,
            "decisions": self.decisions,
            "unroutable": self.unroutable,
            "supported": found.supported,
            "unsupported_share": found.unsupported_share,
            "unsupported": [
                {"identity": key, "steps": without, "of": every} for key, (without, every) in found.lacking.items()
            ],
            "labelled": self.labelled,
            "labels": self.labels,
            "contradictory": self.contradictory,
            "skipped": dict(self.skipped),
            "score": _document(self.score),
            "cost_usd": _document(self.cost_usd),
            "rules_left_out": list(self.rules_left_out),
            "unknown_models": list(self.unknown_models),
        }


def replay(
    log: Log, policy: NewPolicy, *, min_ess: float = MIN_ESS, max_unsupported: float = MAX_UNSUPPORTED
) -> Replay:
    """Estimate what a policy would have scored and cost per step.

    The estimates are of the decisions with support, those where every plan that the policy might choose had a chance.

    Args:
        log: decisions with labels.
        policy: the new policy.
        min_ess: fewer steps' worth of evidence is refused.
        max_unsupported: a larger share of decisions without support is refused.

    Raises:
        OverlapError: the log says too little of that policy; the message names the identities.
        ConfigurationError: the policy cannot be replayed.
    """
    again = _Again(policy)
    tried = [one for logged in log.decisions if (one := again.tried(logged)) is not None]
    if not tried:
        raise OverlapError(f"no model of the new configuration may take any of the {len(log.decisions):,} decisions")
    found = overlap(one.case for one in tried)
    refuse(found, most=max_unsupported)
    able = [one for one in tried if one.case.supported]
    return Replay(
        policy=policy.name,
        learned=policy.learned,
        decisions=len(log.decisions),
        unroutable=len(log.decisions) - len(tried),
        overlap=found,
        labelled=sum(logged.score is not None for logged in log.decisions),
        labels=log.labels,
        contradictory=log.contradictory,
        skipped=log.skipped,
        score=_estimated("score", ((one.case, one.score) for one in able), min_ess, bound=1.0),
        cost_usd=_estimated("cost", ((one.case, one.cost_usd) for one in able), min_ess),
        rules_left_out=policy.left_out,
        unknown_models=tuple(sorted(again.models - policy.models)),
    )


class _Tried(NamedTuple):
    """A logged decision beside what the new policy would have done."""

    case: Case
    score: float | None
    cost_usd: float | None


class _Again:
    """Decides logged steps again, one by one: what is kept of each must be little."""

    def __init__(self, policy: NewPolicy) -> None:
        self._policy = policy
        self._same: dict[frozenset[tuple[str, float]], Mapping[str, float]] = {}
        self.models: set[str] = set()
        """Models of the plans that were carried out."""

    def tried(self, logged: Logged) -> _Tried | None:
        """Return a decision with the chances of its plans, old and new; None where no model may take the step."""
        record = logged.record
        self.models.update(record.plan.models)
        target = self._policy.chances(record)
        if target is None or record.propensity is None:
            return None
        plan = str(record.plan.plan)
        chances = {**{str(other.plan.plan): other.propensity for other in record.alternatives}, plan: record.propensity}
        identity, task_type = sys.intern(record.identity), sys.intern(record.profile.task_type)
        case = Case(identity, task_type, sys.intern(plan), self._shared(chances), self._shared(target))
        return _Tried(case, logged.score, record.outcome.cost_usd)

    def _shared(self, chances: Mapping[str, float]) -> Mapping[str, float]:
        """The same mapping for the same chances."""
        return self._same.setdefault(frozenset(chances.items()), chances)


def _estimated(
    what: str, observed: Iterable[tuple[Case, float | None]], min_ess: float, *, bound: float = 0.0
) -> Estimate | None:
    known = [(case, value) for case, value in observed if value is not None]
    if not known:
        return None
    ess = effective([case.weight for case, _ in known])
    if ess < min_ess or not ess:
        raise OverlapError(
            f"the {len(known):,} logged decisions with a known {what} are worth {ess:.0f} steps of the new policy (at "
            f"least {min_ess:g} are wanted); it does what was seldom done above all on {_rarest(known)}. Wait for more "
            f"{'labels' if what == 'score' else 'decisions'}, or let the logged policy explore there"
        )
    return estimate([case for case, _ in known], [value for _, value in known], bound=bound)


def _rarest(known: Iterable[tuple[Case, float]]) -> str:
    """The identities in which a step of the new policy had the least chance."""
    least: dict[str, float] = {}
    for case, _ in known:
        chance = min(case.logged[plan] for plan, wanted in case.target.items() if wanted > 0.0)
        least[case.identity] = min(least.get(case.identity, 1.0), chance)
    return ", ".join(repr(key) for key in sorted(least, key=least.__getitem__)[:3])


def _document(found: Estimate | None) -> dict[str, Any] | None:
    if found is None:
        return None
    means = ("logged", "ips", "snips", "dr", "difference")
    return {
        **{key: value for key, value in asdict(found).items() if key not in means},
        **{name: getattr(found, name)._asdict() for name in means},
    }
