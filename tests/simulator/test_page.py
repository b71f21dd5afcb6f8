"""The tables in docs/simulator.md say what the code says."""

from __future__ import annotations

from dataclasses import fields

from tests.docs.pages import ROOT, code, rows

from taskrouter.simulator import FAULTS, Phase, RequestRecord
from taskrouter.simulator.config import Durations, Rates
from taskrouter.simulator.journal import RECORDS_KEPT

PAGE = ROOT / "docs" / "simulator.md"


def keys(under: str) -> list[str]:
    """Return what stands in the first cells of the tables below a heading."""
    return [key for row in rows(PAGE, under) for key in code(row[0])]


def test_the_page_explains_every_fault_and_duration():
    durations = list(Durations.model_fields)
    assert sorted(keys("## Faults")) == sorted([*FAULTS, *durations])
    assert set(Rates.model_fields) == set(FAULTS)
    shown = {code(row[0])[0]: code(row[1]) for row in rows(PAGE, "## Faults") if code(row[0])}
    assert {key: shown[key] for key in durations} == {
        key: [f"{field.default:g}"] for key, field in Durations.model_fields.items()
    }


def test_the_page_has_every_key_of_a_phase():
    assert keys("## Chaos scripts") == list(Phase.model_fields)


def test_the_page_names_fields_that_records_have():
    assert set(keys("## What it received")) <= {field.name for field in fields(RequestRecord)}
    assert f"{RECORDS_KEPT:,} requests" in PAGE.read_text(encoding="utf-8")
