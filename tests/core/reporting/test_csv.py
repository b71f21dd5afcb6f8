"""The report as CSV: every table is a file, and names are no formulas."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.core.reporting.written import END_S, answered, call, ledger, record, reported, trial

from taskrouter import ConfigurationError
from taskrouter.reporting import Report, report
from taskrouter.reporting.csv_files import STEP_COLUMNS, steps_file, write_tables
from taskrouter.reporting.tables import tables_of


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_table_is_a_file_with_raw_values(week: Report, tmp_path: Path) -> None:
    written = write_tables(week, tmp_path / "new" / "folder")
    assert {path.stem for path in written} == set(tables_of(week))
    agents = rows(tmp_path / "new" / "folder" / "agent.csv")
    assert {row["agent"]: float(row["spend_usd"]) for row in agents} == {
        group.name: group.spend_usd for group in week.groups["agent"]
    }
    alone = rows(tmp_path / "new" / "folder" / "alone.csv")
    assert all(float(row["saved_usd_low"]) <= float(row["saved_usd"]) <= float(row["saved_usd_high"]) for row in alone)


def test_a_name_that_would_be_a_formula_is_a_text(tmp_path: Path) -> None:
    names = ("=cmd|' /C calc'!A0", "+1", "@sum", "-2", "\t=1")
    write_tables(reported(*(answered(n, agent=name) for n, name in enumerate(names))), tmp_path)
    assert {row["agent"] for row in rows(tmp_path / "agent.csv")} == {f"'{name}" for name in names}


def test_every_step_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    kept = ledger(
        answered(1, tenant="acme"),
        record(2, call("small", cost_usd=None, taken=True)),
        trial(3, call("large", taken=True)),
    )
    with steps_file(path) as each:
        report(kept, until_s=END_S, each=each)
    first, unknown, tried = rows(path)
    assert tuple(first) == STEP_COLUMNS
    assert (first["tenant"], first["cost_usd"], first["trial"]) == ("acme", "0.001", "")
    assert float(first["baseline_usd"]) == pytest.approx(0.01)
    assert unknown["cost_usd"] == ""
    assert (tried["trial"], tried["baseline_usd"]) == ("shadow", "")


def test_a_place_that_cannot_be_written_is_named(week: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"--csv .*file: cannot be written"):
        write_tables(week, tmp_path / "file")
    with (
        pytest.raises(ConfigurationError, match=r"--csv .*steps.csv: cannot be written"),
        steps_file(tmp_path / "none" / "steps.csv"),
    ):
        pass
