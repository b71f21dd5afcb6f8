"""A week of work, made once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.core.reporting import ledgers

from taskrouter.ledger import DECISIONS, Ledger
from taskrouter.reporting import Report, report
from taskrouter.state.opening import open_store


@pytest.fixture(scope="session")
def week_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a ledger of a week."""
    return ledgers.make(tmp_path_factory.mktemp("week"), steps=400)


@pytest.fixture(scope="session")
def week(week_url: str) -> Report:
    """Its report."""
    with Ledger.open(week_url) as ledger:
        return report(ledger, since_s=ledgers.NOW_S - 7 * ledgers.DAY_S, until_s=ledgers.NOW_S)


@pytest.fixture(scope="session")
def week_records(week_url: str) -> list[dict[str, Any]]:
    """Its records, as they stand in the store."""
    store = open_store(week_url)
    try:
        return [json.loads(row.text) for row in store.read(DECISIONS, limit=1_000_000)]
    finally:
        store.close()
