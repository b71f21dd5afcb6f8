"""The report as tables. Page and CSV files are made of the same ones."""

from __future__ import annotations

from collections.abc import Sequence

from taskrouter.reporting import money_tables, running_tables
from taskrouter.reporting.figures import Report
from taskrouter.reporting.judged import Noteworthy
from taskrouter.reporting.table import Column, Table


def tables_of(report: Report) -> dict[str, Table]:
    """Return all tables of a report by name."""
    every = [
        money_tables.bill(report.money),
        money_tables.alone(report),
        money_tables.days(report),
        *(money_tables.group(key, groups) for key, groups in report.groups.items()),
        money_tables.models(report),
        running_tables.latency(report),
        running_tables.outcomes(report),
        running_tables.failures(report),
        running_tables.refusals(report),
        running_tables.breakers(report),
        running_tables.shifts(report),
        running_tables.served(report),
        running_tables.labels(report),
        money_tables.frontier(report),
        _decisions("dearest", "The most expensive decisions", report.dearest),
        _decisions("least_certain", "The least certain decisions", report.least_certain),
        _versions(report),
        _unreadable(report),
    ]
    return {table.name: table for table in every}


def _decisions(name: str, title: str, decisions: Sequence[Noteworthy]) -> Table:
    columns = [
        Column("id", "decision", "text"),
        Column("at_s", "time", "time"),
        Column("agent", "agent"),
        Column("node", "node"),
        Column("tenant", "tenant"),
        Column("task_type", "task type", "text"),
        Column("plan", "plan"),
        Column("model", "answered by"),
        Column("status", "status", "text"),
        Column("cost_usd", "cost", "usd"),
        Column("confidence", "confidence", "share"),
        Column("width", "width of the expected loss", "share"),
    ]
    rows = [
        (
            d.id,
            d.at_s,
            d.agent,
            d.node,
            d.tenant,
            d.task_type,
            d.plan,
            d.model,
            d.status,
            d.cost_usd,
            d.confidence,
            d.width,
        )
        for d in decisions
    ]
    return Table(name, title, columns, rows)


def _versions(report: Report) -> Table:
    columns = [
        Column("policy", "policy"),
        Column("version", "version"),
        Column("steps", "steps", "count"),
        Column("first_s", "first", "time"),
        Column("last_s", "last", "time"),
        Column("prices_known", "prices", "text"),
    ]
    rows = [
        (v.policy, v.version, v.steps, v.first_s, v.last_s, "known" if v.prices_known else "not in the ledger")
        for v in report.versions
    ]
    return Table("versions", "Versions of policy and pool", columns, rows)


def _unreadable(report: Report) -> Table:
    columns = [Column("log", "log", "text"), Column("rows", "rows", "count")]
    return Table("unreadable", "Rows that could not be read", columns, sorted(report.unreadable.items()))
