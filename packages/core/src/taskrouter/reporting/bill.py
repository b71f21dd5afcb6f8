"""The bill of one record: each call by what it was for, and what other models would have charged for the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from taskrouter.catalog.card import ModelCard
from taskrouter.ledger import Pool, Record
from taskrouter.ledger.pricing import taken_call
from taskrouter.ledger.stored import StoredCall

ANSWERS: Final = "answers"
TRIALS: Final = ("shadow", "judge", "label", "calibration")
"""What trials are made for; of others the report says `other`."""
KINDS: Final = (
    ANSWERS,
    "proposals",
    "replaced",
    "failed",
    "cancelled",
    "hedges",
    *(f"trial: {reason}" for reason in (*TRIALS, "other")),
)
"""Every kind of call, in the order of the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a record cost, and what it would have cost."""

    charges: tuple[tuple[str, StoredCall | None, float | None], ...]
    """Each call with its kind and price; None: unknown. Where only the sum is known, one charge without a call."""
    known_usd: float
    """What is known of the cost."""
    unpriced: int
    """Calls whose price is unknown."""
    baseline_usd: float | None
    """The incumbent's price for the answer that was taken; 0 where nobody answered, None where it is unknown."""
    alone_usd: Mapping[str, float | None]
    """The same for each model of the pool."""

    @property
    def comparable(self) -> bool:
        """Whether it can be set against the incumbent: no price is unknown."""
        return self.baseline_usd is not None and not self.unpriced


def bill_of(record: Record, pool: Pool | None) -> Bill:
    """Return the bill of a record.

    The baseline takes the tokens of the answer that was taken, and what of them came from a cache, as they are: another
    model might have written more or less, and its cache might have been cold.

    Args:
        record: the record.
        pool: what models cost when it was decided; None: the ledger does not know.
    """
    taken = taken_call(record) if record.answered else None
    charges: tuple[tuple[str, StoredCall | None, float | None], ...] = tuple(
        (_kind(record, call, call is taken), call, call.cost_usd) for call in record.outcome.calls
    )
    if not charges and record.outcome.cost_usd != 0.0:  # where it is zero, nobody was called
        kind = _trial(record.reason) if record.is_trial else ANSWERS if record.answered else "failed"
        charges = ((kind, None, record.outcome.cost_usd),)
    alone = _alone(taken, pool)
    incumbent = record.incumbent or ("" if pool is None else pool.incumbent)
    return Bill(
        charges=charges,
        known_usd=sum(cost_usd or 0.0 for _, _, cost_usd in charges),
        unpriced=sum(cost_usd is None for _, _, cost_usd in charges),
        baseline_usd=alone.get(incumbent) if record.answered else 0.0,
        alone_usd=alone,
    )


def _alone(taken: StoredCall | None, pool: Pool | None) -> dict[str, float | None]:
    """What each model would have charged for an answer; its own model did charge what it did."""
    if taken is None:
        return {}
    found = {} if pool is None else {model: price(card, taken) for model, card in pool.models.items()}
    return {**found, taken.model: taken.cost_usd}


def price(card: ModelCard, call: StoredCall) -> float | None:
    """Return what a model would have charged for the tokens of a call; None where tokens or prices are unknown."""
    if not call.input_tokens and not call.output_tokens:
        return None
    return card.cost_usd(call.input_tokens, call.output_tokens, call.cached_tokens)


def _kind(record: Record, call: StoredCall, taken: bool) -> str:
    if record.is_trial:
        return _trial(record.reason)
    if taken:
        return ANSWERS
    if call.role == "hedge":
        return "hedges"
    if call.status != "ok":
        return call.status
    if record.outcome.status == "cancelled":
        return "cancelled"
    return "proposals" if call.role == "propose" else "replaced"


def _trial(reason: str) -> str:
    return f"trial: {reason if reason in TRIALS else 'other'}"
