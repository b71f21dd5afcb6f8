"""Ledgers written by hand, for figures that can be reckoned in the head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from taskrouter.ledger import DECISIONS, EVENTS, POOLS, Ledger
from taskrouter.ledger.reading import FEEDBACK
from taskrouter.reporting import Report, report
from taskrouter.state.memory import MemoryStore
from taskrouter.state.store import Entry

START_S = 1_700_000_000.0
END_S = START_S + 100_000.0
POOL = {
    "incumbent": "large",
    "models": {
        name: {"id": name, "model": f"house/{name}", "input_usd_per_million": usd, "output_usd_per_million": usd}
        for name, usd in (("small", 1.0), ("medium", 4.0), ("large", 10.0))
    },
}
"""A thousand tokens cost a tenth of a cent, four tenths, and one cent."""


def call(model: str = "small", **fields: Any) -> dict[str, Any]:
    """A call of a thousand tokens that was answered, at the pool's price unless another is said."""
    usd = POOL["models"][model]["input_usd_per_million"] / 1000  # type: ignore[index]
    counts = {"input_tokens": 900, "output_tokens": 100, "latency_s": 1.0}
    return {"model": model, "role": "primary", "status": "ok", "cost_usd": usd, **counts, **fields}


def record(number: int, *calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A step, answered by the call that says `taken`, or by none."""
    taken = next((one["model"] for one in calls if one.get("taken")), None)
    status = fields.pop("status", "ok" if taken else "exhausted")
    return {
        "v": 1,
        "id": f"dec_{number:016x}",
        "at_s": START_S + number,
        "identity": "clerk/",
        "agent": "clerk",
        "policy": "safe",
        "policy_version": "v1",
        "profile": {"task_type": "chat", "input_tokens": 900, "output_tokens": 100},
        "incumbent": "large",
        "plan": {"kind": "single", "models": [calls[0]["model"] if calls else "small"]},
        "outcome": {
            "model": taken,
            "status": status,
            "latency_s": 1.0,
            "calls": list(calls),
            **fields.pop("outcome", {}),
        },
        **fields,
    }


def trial(number: int, *calls: dict[str, Any], reason: str = "shadow", **fields: Any) -> dict[str, Any]:
    """A trial beside the steps."""
    return record(number, *calls, policy="trial", policy_version="", reason=reason, **fields)


def answered(number: int, model: str = "small", **fields: Any) -> dict[str, Any]:
    """A step that one call answered."""
    return record(number, call(model, taken=True), **fields)


def ledger(
    *records: Any,
    labels: Sequence[dict[str, Any]] = (),
    events: Sequence[Any] = (),
    pools: dict[str, Any] | None = None,
) -> Ledger:
    """A ledger of these rows; texts are written as they are."""
    store = MemoryStore()
    for log, rows in ((DECISIONS, records), (FEEDBACK, labels), (EVENTS, events)):
        store.append(log, [row if isinstance(row, str) else json.dumps(row) for row in rows])
    given = {"v1": POOL} if pools is None else pools
    store.put(POOLS, {version: Entry(value=json.dumps(pool)) for version, pool in given.items()})
    return Ledger(store)


def label(number: int, score: float = 1.0, **fields: Any) -> dict[str, Any]:
    """A label of a step."""
    return {"v": 1, "decision_id": f"dec_{number:016x}", "score": score, "at_s": START_S + number, **fields}


def reported(*records: Any, **rows: Any) -> Report:
    """The report of such a ledger."""
    return report(ledger(*records, **rows), until_s=END_S)
