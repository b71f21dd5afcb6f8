"""How much of the ledger is kept: by number, by size, by age."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.core.ledger.test_ledger import Shared, answer, made
from tests.core.sharing_workers import shared_router, wait_until

from taskrouter import ConfigurationError, NoEligibleModelError
from taskrouter.ledger import DECISIONS, EVENTS, EventLog, Ledger, LedgerWriter, Retention
from taskrouter.ledger.retention import DAY_S, LOOK_S
from taskrouter.state.memory import MemoryStore


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now_s


def filled(store: MemoryStore, count: int, size: int = 10) -> list[str]:
    texts = ["x" * size] * count
    store.append("log", texts)
    return texts


def test_what_is_older_than_its_days_is_forgotten_although_nothing_is_written() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    retention = Retention("log", keep=100, days=2.0, clock=clock)
    filled(store, 3)
    retention.trim(store)
    clock.now_s += 2.0 * DAY_S - 1.0
    filled(store, 2)
    retention.trim(store)
    assert len(store.read("log")) == 5
    clock.now_s += LOOK_S
    retention.trim(store)
    assert len(store.read("log")) == 2


def test_between_two_looks_the_store_is_left_alone() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    retention = Retention("log", keep=100, days=2.0, clock=clock)
    retention.trim(store)
    filled(store, 1)
    clock.now_s += LOOK_S - 1.0
    store.trim = lambda *_, **__: pytest.fail("it was asked")  # type: ignore[method-assign]
    retention.trim(store)
    assert len(store.read("log")) == 1


def test_without_days_age_does_not_matter() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    retention = Retention("log", keep=100, clock=clock)
    filled(store, 3)
    clock.now_s += 1000 * DAY_S
    retention.trim(store)
    assert len(store.read("log")) == 3
    assert retention.lasts_s is None


def test_megabytes_become_a_number_of_records_by_their_mean_size() -> None:
    store = MemoryStore()
    retention = Retention("log", keep=100_000, megabytes=1.0)
    assert retention.keep == 100_000
    retention.wrote(filled(store, 1000, size=2000))
    assert retention.keep == 333  # of 2,000 bytes, each with half as much again for what the store needs
    retention.trim(store)
    assert len(store.read("log")) == 333
    for _ in range(10):
        retention.wrote(filled(store, 1000, size=20_000))
    assert 33 <= retention.keep <= 34


def test_more_megabytes_than_the_number_allows_change_nothing() -> None:
    retention = Retention("log", keep=10, megabytes=512.0)
    retention.wrote(["x" * 2000])
    assert retention.keep == 10


def test_one_record_is_kept_however_large_it_is() -> None:
    store = MemoryStore()
    retention = Retention("log", keep=10, megabytes=0.001)
    retention.wrote(filled(store, 3, size=1_000_000))
    retention.trim(store)
    assert len(store.read("log")) == 1


def test_the_size_in_the_configuration_holds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router("memory:", state={"url": url, "decision_mb": 0.05}) as router:
        ids = [answer(router) for _ in range(120)]
    with Ledger.open(url) as ledger:
        kept = [record.id for record in ledger.records()]
    assert kept == ids[-len(kept) :]
    assert 15 <= len(kept) <= 40


def test_the_days_in_the_configuration_hold_for_decisions_and_events(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url) as router:
        old = answer(router)
        router._state.events.refused(made()[0], NoEligibleModelError(()))  # type: ignore[union-attr]
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as connection:
        connection.execute("UPDATE records SET at_s = at_s - ?", (91 * DAY_S,))
    with Ledger.open(url) as ledger:
        assert [record.id for record in ledger.records()] == [old]
        assert len(list(ledger.events())) == 1
    with shared_router(url) as router:
        new = answer(router)
        wait_until(lambda: [record.id for record in router.ledger.records()] == [new])
        assert list(router.ledger.events()) == []


@pytest.mark.parametrize("value", [0, None])
def test_no_limit_is_none_or_zero(value: float | None) -> None:
    state = {"url": "memory:", "decision_days": value, "decision_mb": value}
    with shared_router("memory:", state=state) as router:
        retention = router._state.ledger._retention  # type: ignore[union-attr]
        assert retention.lasts_s is None
        retention.wrote(["x" * 10**9])
        assert retention.keep == 100_000


@pytest.mark.parametrize("key", ["decision_days", "decision_mb"])
def test_a_limit_below_zero_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"state\.{key}"):
        shared_router("memory:", state={key: -1})


def test_events_are_bounded_by_their_number_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskrouter.ledger.happening.KEPT", 20)
    store = Shared()
    log = EventLog(store)
    for _ in range(50):
        log.refused(made()[0], NoEligibleModelError(()))
        log.flush()
    assert 20 <= len(store.read(EVENTS)) <= 21


def test_what_several_processes_have_written_is_trimmed_by_whoever_writes_next() -> None:
    store = Shared()
    store.append(DECISIONS, [json.dumps({"v": 1})] * 30)
    writer = LedgerWriter(store, retention=Retention(DECISIONS, keep=10))
    writer.note(*made())
    writer.flush()
    assert len(store.read(DECISIONS)) == 10
