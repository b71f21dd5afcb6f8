"""The account of an answer, as every adapter puts it beside the native one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskrouter.outcome import Outcome


def account(outcome: Outcome[Any], notes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what was decided and what it cost; `cost_usd` is None where a price is unknown.

    Args:
        outcome: the answered step.
        notes: what there is to say beside the usual, as `choose` returned it.
    """
    return {
        "decision_id": outcome.decision_id,
        "model": outcome.model,
        "reason": outcome.decision.reason,
        "task_type": outcome.decision.profile.task_type,
        "status": outcome.status,
        "attempts": len(outcome.attempts),
        "cost_usd": outcome.cost_usd,
        **(notes or {}),
    }
