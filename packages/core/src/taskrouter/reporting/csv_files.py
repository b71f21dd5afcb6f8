"""The report's tables, and every step, as CSV files for spreadsheets and notebooks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from taskrouter.calibration.report import Interval
from taskrouter.errors import ConfigurationError
from taskrouter.ledger import Record
from taskrouter.reporting.amounts import Range
from taskrouter.reporting.bill import Bill
from taskrouter.reporting.figures import Report
from taskrouter.reporting.gathering import Each
from taskrouter.reporting.table import Column, Table
from taskrouter.reporting.tables import tables_of

STEP_COLUMNS: Final = (
    "id",
    "time",
    "agent",
    "node",
    "tenant",
    "run",
    "task_type",
    "policy",
    "policy_version",
    "reason",
    "plan",
    "model",
    "status",
    "check",
    "trial",
    "calls",
    "cost_usd",
    "baseline_usd",
    "latency_s",
    "input_tokens",
    "output_tokens",
    "trace",
)
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def write_tables(report: Report, folder: Path) -> list[Path]:
    """Write each table into a file of a folder, which is made if it is missing.

    Raises:
        ConfigurationError: it cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for table in tables_of(report).values():
            path = folder / f"{table.name}.csv"
            with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
                csv.writer(file).writerows(_rows(table))
            written.append(path)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return written


@contextmanager
def steps_file(path: Path) -> Iterator[Each]:
    """Open a file that takes one row for every record, as the report reads it.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(STEP_COLUMNS)
            yield lambda record, bill: writer.writerow(_step(record, bill))
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"--csv {path}: cannot be written: {error.strerror or error}")


def _rows(table: Table) -> Iterator[list[Any]]:
    yield [name for column in table.columns for name in _names(column)]
    for row in table.rows:
        yield [cell for column, value in zip(table.columns, row, strict=True) for cell in _cells(column, value)]


def _names(column: Column) -> tuple[str, ...]:
    if column.kind.endswith("_range") or column.name == "score":
        return column.name, f"{column.name}_low", f"{column.name}_high"
    return ("time",) if column.name == "at_s" else (column.name,)


def _cells(column: Column, value: Any) -> Sequence[Any]:
    width = len(_names(column))
    if value is None:
        return [""] * width
    if isinstance(value, Range):
        return [value.value, _blank(value.low), _blank(value.high)]
    if isinstance(value, Interval):
        return list(value)
    return [_time(value) if column.kind == "time" else _safe(value)]


def _step(record: Record, bill: Bill) -> list[Any]:
    calls = record.outcome.calls
    values = [
        record.id,
        _time(record.at_s),
        record.agent,
        record.node,
        record.tenant,
        record.run,
        record.profile.task_type,
        record.policy,
        record.policy_version,
        record.reason,
        str(record.plan.plan),
        record.outcome.model,
        record.outcome.status,
        record.outcome.check,
        record.reason if record.is_trial else None,
        len(calls),
        None if bill.unpriced else bill.known_usd,
        bill.baseline_usd if record.answered else None,
        record.outcome.latency_s,
        sum(call.input_tokens for call in calls),
        sum(call.output_tokens for call in calls),
        record.trace[0] if record.trace else None,
    ]
    return [_safe(_blank(value)) for value in values]


def _blank(value: Any) -> Any:
    return "" if value is None else value


def _safe(value: Any) -> Any:
    """A name from outside may be written as a formula: an apostrophe before it makes it a text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
