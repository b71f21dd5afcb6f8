"""The tables of the ledger's page name what a record has."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from tests.docs.pages import ROOT, code, rows

from taskrouter.ledger import Event, Record
from taskrouter.ledger.stored import StoredCall, StoredOutcome

PAGE = ROOT / "docs/ledger.md"
TABLES: dict[str, type[BaseModel]] = {
    "## A record": Record,
    "### `outcome`": StoredOutcome,
    "### `outcome.calls`": StoredCall,
}


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_names_every_field_once(heading: str) -> None:
    named = [name for row in rows(PAGE, heading) for name in code(row[0])]
    assert sorted(named) == sorted(TABLES[heading].model_fields)


def test_the_page_names_the_kinds_of_events_and_what_they_say() -> None:
    table = {code(row[0])[0]: set(code(row[2])) for row in rows(PAGE, "## Events") if code(row[0])}
    assert set(table) == {"breaker", "refused"}
    assert set.union(*table.values()) - {"open", "closed", "down"} == set(Event.model_fields) - {"kind", "at_s"}
