"""The tables of how it runs: times, failures, breakers, labels."""

from __future__ import annotations

from taskrouter.reporting.counts import Latency
from taskrouter.reporting.figures import Report
from taskrouter.reporting.table import Column, Table


def latency(report: Report) -> Table:
    """Return how long steps and calls took."""
    columns = [
        Column("of", "of"),
        Column("count", "measured", "count"),
        *(Column(f"{name}_s", name, "seconds") for name in ("mean", "p50", "p90", "p95", "p99")),
        Column("first_token_p50_s", "first token p50", "seconds"),
        Column("first_token_p95_s", "p95", "seconds"),
    ]
    timed = [("every step", report.latency, report.first_token)]
    timed += [(model.model, model.latency, model.first_token) for model in report.models]
    rows = [
        (of, *_times(latency), first_token.p50_s, first_token.p95_s)
        for of, latency, first_token in timed
        if latency.count
    ]
    return Table("latency", "Latency", columns, rows)


def _times(latency: Latency) -> tuple[float | None, ...]:
    return latency.count, latency.mean_s, latency.p50_s, latency.p90_s, latency.p95_s, latency.p99_s


def outcomes(report: Report) -> Table:
    """Return how the steps went."""
    steps = report.steps
    columns = [
        Column("outcome", "steps that", "text"),
        Column("steps", "steps", "count"),
        Column("share", "share", "share"),
    ]
    counted = [
        ("were answered", steps.answered),
        ("were answered by a fallback", steps.fallback),
        ("went to a further model after a check", steps.escalated),
        ("nobody answered", steps.exhausted),
        ("the caller gave up", steps.cancelled),
    ]
    rows = [(name, count, steps.share(count)) for name, count in counted]
    rows.append(("could not be decided (refused)", steps.refused, steps.refused_share))
    return Table("outcomes", "How the steps went", columns, rows)


def failures(report: Report) -> Table:
    """Return failed calls by model and kind."""
    columns = [Column("model", "model"), Column("error_type", "kind", "text"), Column("calls", "failed calls", "count")]
    return Table(
        "errors", "Errors by model and kind", columns, [(f.model, f.error_type, f.calls) for f in report.failures]
    )


def refusals(report: Report) -> Table:
    """Return the steps that could not be decided, by why."""
    columns = [Column("error_type", "why", "text"), Column("steps", "steps", "count")]
    return Table(
        "refused", "Steps that could not be decided", columns, [(r.error_type, r.steps) for r in report.refusals]
    )


def breakers(report: Report) -> Table:
    """Return each breaker that has opened."""
    columns = [
        Column("endpoint", "endpoint"),
        Column("now", "at the end", "text"),
        Column("opened", "opened", "count"),
        Column("out_s", "time out", "seconds"),
        Column("last_at_s", "last change", "time"),
        Column("why", "why it opened last", "text"),
    ]
    rows = []
    for breaker in report.breakers:
        last = breaker.shifts[-1].at_s if breaker.shifts else None
        why = next((shift.why for shift in reversed(breaker.shifts) if shift.state != "closed"), "")
        rows.append((breaker.endpoint, breaker.now, breaker.opened, breaker.out_s, last, why))
    return Table("breakers", "Breakers that have opened", columns, rows)


def shifts(report: Report) -> Table:
    """Return every change of a breaker."""
    columns = [
        Column("at_s", "time", "time"),
        Column("endpoint", "endpoint"),
        Column("state", "state", "text"),
        Column("why", "why", "text"),
    ]
    rows = sorted((s.at_s, b.endpoint, s.state, s.why) for b in report.breakers for s in b.shifts)
    return Table("breaker_events", "Every change of a breaker", columns, rows)


def served(report: Report) -> Table:
    """Return the answers of other models than were asked for."""
    columns = [
        Column("model", "model"),
        Column("asked", "asked for"),
        Column("served", "answered by"),
        Column("calls", "calls", "count"),
    ]
    rows = [(m.model, m.asked, m.served, m.calls) for m in report.served.mismatches]
    return Table("served", "Answers of another model than was asked for", columns, rows)


def labels(report: Report) -> Table:
    """Return the labels of each step identity."""
    columns = [
        Column("identity", "step identity"),
        Column("steps", "steps", "count"),
        Column("labelled", "labelled", "count"),
        Column("score", "mean score", "score"),
        Column("needed", "labels still needed", "count"),
    ]
    rows = [(one.identity, one.steps, one.labelled, one.score, one.needed) for one in report.labels.identities]
    return Table("labels", "Labels by step identity", columns, rows)
