"""What models cost, beside the decisions that were made from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.core.ledger.test_ledger import Shared, answer, made
from tests.core.sharing_workers import ask, shared_router

from taskrouter.errors import StoreUnavailable
from taskrouter.ledger import DECISIONS, POOLS, Ledger, LedgerWriter, PoolEntry, Retention
from taskrouter.ledger.retention import DAY_S
from taskrouter.state.store import StateStore


def kept(store: StateStore) -> dict[str, Any]:
    return {version: json.loads(entry.value) for version, entry in store.entries(POOLS).items()}


def test_the_pool_that_a_decision_was_made_from_has_its_prices(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url, policy={"name": "balanced"}) as router:
        answer(router)
        models = dict(router.models)
    with Ledger.open(url) as ledger:
        (record,) = ledger.records()
        (pool,) = ledger.pools().values()
        assert pool == ledger.pools()[record.policy_version]
    assert (pool.incumbent, pool.policy, set(pool.models)) == ("first", "balanced", {"first", "second"})
    assert pool.models["first"].model == "house/first"
    assert pool.models["first"].cost_usd(1000, 500, 10) == models["first"].cost_usd(1000, 500, 10)


def test_neither_keys_nor_addresses_nor_parameters_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_NAME", "sk-secret-value")
    card = {
        "base_url": "http://internal.example:8000/v1",
        "api_key": "env:SECRET_NAME",
        "params": {"user": "somebody"},
        "quota_group": "account-17",
        "tags": ["internal"],
        "deployments": [{"name": "eu", "base_url": "http://eu.internal.example/v1"}],
        "input_usd_per_million": 1.0,
        "cached_input_usd_per_million": 0.1,
        "output_usd_per_million": 1.0,
    }
    models = [{"id": name, "model": f"house/{name}", **card} for name in ("first", "second")]
    with shared_router("memory:", models=models) as router:
        ask(router)
        assert set(router.ledger.pools()) == {record.policy_version for record in router.ledger.records()}
        text = json.dumps(kept(router._state.store))
    for secret in ("internal", "SECRET_NAME", "sk-secret", "somebody", "account-17", "http"):
        assert secret not in text
    assert '"cached_input_usd_per_million": 0.1' in text


def test_a_price_that_is_not_known_stays_unknown() -> None:
    models = [{"id": name, "model": f"house/{name}", "context_tokens": 8000} for name in ("first", "second")]
    with shared_router("memory:", models=models) as router:
        ask(router)
        (pool,) = router.ledger.pools().values()
    assert pool.models["first"].cost_usd(10, 10) is None


def test_before_the_first_record_there_is_no_pool() -> None:
    with shared_router("memory:") as router:
        assert router.ledger.pools() == {}


def writer_for(store: Shared, days: float | None) -> LedgerWriter:
    return LedgerWriter(store, retention=Retention(DECISIONS, keep=100, days=days), pool=PoolEntry("v1", "{}"))


def write(writer: LedgerWriter) -> None:
    writer.note(*made())
    writer.flush()


def test_a_pool_outlives_the_last_record_that_names_it_and_is_put_again_every_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [1_000_000.0]
    monkeypatch.setattr("taskrouter.ledger.writing.time.time", lambda: now_s[0])
    store = Counting()
    writer = writer_for(store, days=90.0)
    write(writer)
    write(writer)
    assert store.expiries == [now_s[0] + 92 * DAY_S]
    now_s[0] += DAY_S
    write(writer)
    assert store.expiries[1:] == [now_s[0] + 92 * DAY_S]


def test_without_days_a_pool_is_put_once_and_stays() -> None:
    store = Counting()
    writer = writer_for(store, days=None)
    write(writer)
    write(writer)
    assert store.expiries == [None]


def test_a_pool_that_could_not_be_put_is_put_with_the_next_records() -> None:
    store = Counting()
    writer = writer_for(store, days=None)
    store.refuses = True
    with pytest.raises(StoreUnavailable):
        write(writer)
    assert (writer.waiting, kept(store)) == (1, {})
    store.refuses = False
    writer.flush()
    assert (writer.waiting, kept(store)) == (0, {"v1": {}})


class Counting(Shared):
    """Remembers when what is put into it expires."""

    def __init__(self) -> None:
        super().__init__()
        self.expiries: list[float | None] = []
        self.refuses = False

    def put(self, space: str, entries: Any) -> None:
        if self.refuses:
            raise StoreUnavailable("away")
        self.expiries += [entry.expires_at_s for entry in entries.values()]
        super().put(space, entries)
