"""What a record says beside its own figures, once the pool is known: the incumbent's price, and who really answered."""

from __future__ import annotations

from taskrouter.catalog.served import same_model
from taskrouter.ledger.pools import Pool
from taskrouter.ledger.stored import Record, StoredCall


def taken_call(record: Record) -> StoredCall | None:
    """Return the call whose answer was taken, or was being taken when the step was given up."""
    calls = record.outcome.calls
    marked = next((call for call in calls if call.taken), None)
    if marked is not None or record.outcome.model is None:
        return marked
    good = [call for call in calls if call.model == record.outcome.model and call.status == "ok"]
    return good[-1] if good else None  # of a record from before calls were marked


def baseline_usd(record: Record, pool: Pool | None) -> float | None:
    """Return what the incumbent would have cost for the same answer, its prompt cache as warm; None if unknown.

    Args:
        record: of a step; one that nobody got an answer to has no baseline, nor has a trial, for without it there was
            no call.
        pool: the pool that the decision was made from.
    """
    call = taken_call(record) if record.answered else None
    if call is None or pool is None or (card := pool.models.get(record.incumbent)) is None:
        return None
    if not call.input_tokens and not call.output_tokens:
        return None  # nobody counted
    return card.cost_usd(call.input_tokens, call.output_tokens, call.cached_tokens)


def served_other(call: StoredCall, pool: Pool | None) -> bool:
    """Tell whether a provider says that another model has answered than the one that was asked."""
    if pool is None or (card := pool.card(call.model, call.deployment)) is None:
        return False
    return same_model(card.model, call.served, provider=card.provider) is False
