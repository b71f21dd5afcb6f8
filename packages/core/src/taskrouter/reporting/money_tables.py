"""The tables of money: the bill, every model alone, whose the steps are, quality over cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taskrouter.reporting.amounts import Money
from taskrouter.reporting.counts import Group
from taskrouter.reporting.figures import Report
from taskrouter.reporting.table import Column, Table

KIND_TITLES: Final = {
    "answers": "answers that were taken",
    "proposals": "proposals of agreement",
    "replaced": "answers that did not pass a check",
    "failed": "failed calls",
    "cancelled": "cancelled calls",
    "hedges": "hedges",
    "trial: shadow": "trials: shadows",
    "trial: judge": "trials: judges",
    "trial: label": "trials: labelling",
    "trial: calibration": "trials: calibration",
    "trial: other": "trials: other",
}
GROUP_TITLES: Final = {"agent": "Agents", "node": "Nodes", "task": "Task types", "tenant": "Tenants"}


def bill(money: Money) -> Table:
    """Return what the spend consists of."""
    columns = [
        Column("kind", "what was paid for", "text"),
        Column("calls", "calls", "count"),
        Column("spend_usd", "spend", "usd"),
        Column("compared_usd", "of it compared", "usd"),
        Column("unpriced_calls", "price unknown", "count"),
    ]
    rows = [
        (KIND_TITLES.get(line.kind, line.kind), line.calls, line.spend_usd, line.compared_usd, line.unpriced)
        for line in money.lines
    ]
    return Table("spend", "What the spend consists of", columns, rows)


def alone(report: Report) -> Table:
    """Return every model of the pool by itself, what it would have cost and how good its labels are."""
    money = report.money
    scores = {point.name: point.score for point in report.frontier if point.standing != "routed"}
    columns = [
        Column("model", "model"),
        Column("role", "", "text"),
        Column("score", "labelled score", "score"),
        Column("cost_usd", "would have cost", "usd"),
        Column("mean_usd", "per step", "usd"),
        Column("saved_usd", "saved against it, net", "usd_range"),
        Column("saving", "saving", "share_range"),
        Column("missing_steps", "steps not reckoned", "count"),
    ]
    rows = [
        (
            one.model,
            " and ".join(
                role
                for role, is_so in (
                    ("incumbent", one.model in money.incumbents[:1]),
                    ("best by labels", one.model == money.best_single),
                )
                if is_so
            ),
            scores.get(one.model),
            one.cost_usd,
            one.mean_usd,
            one.saved_usd,
            one.saving,
            one.missing,
        )
        for one in money.alone
    ]
    return Table("alone", "One model for every step", columns, rows)


def days(report: Report) -> Table:
    """Return spend and baseline, day by day."""
    columns = [
        Column("date", "day (UTC)", "text"),
        Column("steps", "steps", "count"),
        Column("spend_usd", "spend", "usd"),
        Column("compared_usd", "of it compared", "usd"),
        Column("baseline_usd", "incumbent", "usd"),
    ]
    rows = [(day.date, day.steps, day.spend_usd, day.compared_usd, day.baseline_usd) for day in report.days]
    return Table("days", "Day by day", columns, rows)


def group(key: str, groups: Sequence[Group]) -> Table:
    """Return the groups of one kind."""
    columns = [
        Column(key, "task type" if key == "task" else key),
        Column("steps", "steps", "count"),
        Column("spend_usd", "spend", "usd"),
        Column("share", "share", "share"),
        Column("saved_usd", "saved, net", "usd"),
        Column("mean_s", "mean latency", "seconds"),
        Column("p95_s", "p95", "seconds"),
        Column("error_rate", "unanswered", "share"),
        Column("unpriced_calls", "price unknown", "count"),
    ]
    rows = [
        (g.name, g.steps, g.spend_usd, g.share, g.saved_usd, g.mean_s, g.p95_s, g.error_rate, g.unpriced_calls)
        for g in groups
    ]
    return Table(key, GROUP_TITLES[key], columns, rows)


def models(report: Report) -> Table:
    """Return what each model was called for and what it cost."""
    columns = [
        Column("model", "model"),
        Column("calls", "calls", "count"),
        Column("answers", "answers taken", "count"),
        Column("spend_usd", "spend", "usd"),
        Column("share", "share", "share"),
        Column("saved_usd", "saved, net", "usd"),
        Column("error_rate", "failed calls", "share"),
        Column("unpriced_calls", "price unknown", "count"),
    ]
    rows = [
        (m.model, m.calls, m.answers, m.spend_usd, m.share, m.saved_usd, m.error_rate, m.unpriced_calls)
        for m in report.models
    ]
    return Table("models", "Models", columns, rows)


def frontier(report: Report) -> Table:
    """Return cost and quality of every model and of the steps as they went."""
    columns = [
        Column("name", "model"),
        Column("standing", "", "text"),
        Column("cost_usd", "cost per step", "usd"),
        Column("labels", "labels", "count"),
        Column("score", "labelled score", "score"),
        Column("covered", "of the work", "share"),
        Column("expected", "expected", "share"),
        Column("on_hull", "on the hull", "text"),
    ]
    rows = [
        (
            p.name,
            "" if p.standing == "model" else p.standing,
            p.cost_usd,
            p.labels,
            p.score,
            p.covered,
            p.expected,
            "yes" if p.standing != "routed" and p.name in report.hull else "",
        )
        for p in report.frontier
    ]
    return Table("frontier", "Cost and quality", columns, rows)
