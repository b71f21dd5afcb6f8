"""A record of the ledger in words: the decision as it explained itself, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from taskrouter.explaining import Expected, Grounds, Left, Row, lines_of, plain
from taskrouter.ledger.pools import Pool
from taskrouter.ledger.pricing import baseline_usd, served_other
from taskrouter.ledger.reading import Label
from taskrouter.ledger.record import RANKED
from taskrouter.ledger.stored import Record, StoredCall, StoredRow


def explain_record(record: Record, *, pool: Pool | None = None, labels: Sequence[Label] = ()) -> str:
    """Return the decision for a person on call: what was decided and why, each call, the money, the labels.

    Args:
        record: the record.
        pool: the pool that it was decided from, for the price of the incumbent.
        labels: all labels of this decision.
    """
    came_of_it = [*_place(record), *_outcome(record), *_calls(record, pool), *_money(record, pool), *_labels(labels)]
    return "\n".join([*lines_of(_grounds(record)), *map(plain, came_of_it)])


def usd(amount: float | None) -> str:
    """Money as an explanation writes it."""
    return "cost unknown" if amount is None else f"${amount:.6f}"


def local_time(at_s: float) -> str:
    """Return a time, seconds since the epoch, in the zone of this machine."""
    return datetime.fromtimestamp(at_s).astimezone().isoformat(timespec="seconds")


def _grounds(record: Record) -> Grounds:
    said, loss = record.explained, record.loss
    return Grounds(
        id=record.id,
        model=record.plan.models[0],
        reason=record.reason,
        detail=said.detail,
        profile=record.profile.profile,
        policy=record.policy,
        policy_version=record.policy_version,
        rule=record.rule,
        incumbent=record.incumbent,
        propensity=record.propensity,
        duration_s=said.duration_s,
        certificate=said.certificate,
        regions=said.regions,
        loss=None if loss is None else Expected(loss.mean, loss.low, loss.high, loss.source),
        ranking=[_row(row) for row in said.ranking],
        rejected=[Left(left.model, left.code, left.detail) for left in said.rejected],
        fallbacks=said.fallbacks,
    )


def _row(row: StoredRow) -> Row:
    return Row(str(row.plan.plan), row.score, row.quality, row.source, row.cost_usd, row.latency_s)


def _place(record: Record) -> Iterator[str]:
    if len(record.explained.ranking) == RANKED:
        yield f"  the ledger keeps the first {RANKED}"
    named = [("agent", record.agent), ("node", record.node), ("tenant", record.tenant), ("run", record.run)]
    known = "".join(f", {name} {value}" for name, value in named if value)
    yield f"when      {local_time(record.at_s)}{known}"
    if record.trace is not None:
        yield f"trace     {record.trace[0]}, span {record.trace[1]}"


def _outcome(record: Record) -> Iterator[str]:
    outcome = record.outcome
    by = "" if outcome.model is None else f" by {outcome.model}"
    why = "" if outcome.error_type is None else f", {outcome.error_type}"
    check = "" if outcome.check == "none" else f", check {outcome.check}"
    took = "" if outcome.latency_s is None else f" in {outcome.latency_s:.2f} s"
    yield f"outcome   {outcome.status}{by}{took}{check}{why}"
    told = [f"{one.model} {_sameness(one.same)}" for one in outcome.proposals]
    if told:
        yield f"proposed  {'; '.join(told)}"


def _sameness(same: bool | None) -> str:
    if same is None:
        return "not comparable"
    return "the same answer" if same else "another answer"


def _calls(record: Record, pool: Pool | None) -> Iterator[str]:
    if record.outcome.calls:
        yield "calls"
    for number, call in enumerate(record.outcome.calls, start=1):
        yield f"  {number:>2}. {', '.join(_call(call, pool))}"


def _call(call: StoredCall, pool: Pool | None) -> Iterator[str]:
    place = call.model if call.deployment is None else f"{call.model}@{call.deployment}"
    failure = "" if call.error_type is None else f" ({call.error_type})"
    yield f"{place}  {call.role} {call.status}{failure}{', taken' if call.taken else ''}"
    cached = f" ({call.cached_tokens:,} cached)" if call.cached_tokens else ""
    about = "about " if call.estimated else ""
    yield f"{about}{call.input_tokens:,} tokens in{cached} and {call.output_tokens:,} out"
    yield usd(call.cost_usd)
    yield "latency unknown" if call.latency_s is None else f"{call.latency_s:.2f} s"
    if call.first_token_s is not None:
        yield f"first token after {call.first_token_s:.2f} s"
    if call.waited_s:
        yield f"waited {call.waited_s:.2f} s before"
    if call.forced:
        yield "asked although its breaker was open"
    if served_other(call, pool):
        yield f"served by {call.served}"


def _money(record: Record, pool: Pool | None) -> Iterator[str]:
    spent, baseline = record.outcome.cost_usd, baseline_usd(record, pool)
    calls = len(record.outcome.calls)
    paid = f"money     {usd(spent)} for {calls} call{'' if calls == 1 else 's'}"
    would = f"{record.incumbent} would have cost"
    if record.is_trial:
        yield f"{paid} of a trial, which answers nobody"
    elif not record.answered:
        yield f"{paid}, and no answer"
    elif baseline is None:
        yield f"{paid}; what {would} is unknown"
    else:
        yield f"{paid}; {would} {usd(baseline)} for the same answer{_saving(spent, baseline)}"


def _saving(spent: float | None, baseline: float) -> str:
    if spent is None or not baseline or abs(spent - baseline) < 0.005 * baseline:
        return ""
    return f", {100 * abs(1 - spent / baseline):.0f} % {'saved' if spent < baseline else 'more'}"


def _labels(labels: Sequence[Label]) -> Iterator[str]:
    for label in labels:
        part = f", said of its run, of which it gets {100 * label.share:.0f} %" if label.run_id is not None else ""
        yield f"label     {label.score:.2f} by {label.source} at {local_time(label.at_s)}{part}"
    if not labels:
        yield "label     none"
