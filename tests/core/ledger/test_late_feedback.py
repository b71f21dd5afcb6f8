"""Labels of decisions that another process has made, or that this one has forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.core.ledger.test_ledger import Shared, answer
from tests.core.sharing_workers import feedback_in, shared_router

from taskrouter import FeedbackError, Router
from taskrouter.ledger import DECISIONS, LedgerLookup

NOWHERE = "dec_0123456789abcdef"


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    return str(request.getfixturevalue("redis_url"))


def test_a_label_of_another_process_s_decision_teaches(url: str) -> None:
    with shared_router(url) as router:
        decision_id = answer(router, agent="clerk")
    with shared_router(url) as other:
        other.feedback(decision_id, 0.25)
        assert (other.learning.labels, other.learning.unmatched) == (1, 0)
    (record,) = feedback_in(url)
    assert record["lesson"]["identity"] == "clerk/"
    assert record["lesson"]["plans"][0]["score"] == 0.25


def test_a_label_of_a_decision_that_was_forgotten_teaches(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskrouter.learning.learner.REMEMBERED", 1)
    with shared_router(url) as router:
        forgotten, _ = answer(router), answer(router)
        assert router._teaching.learner.remembered(forgotten) is None
        router._state.ledger.flush()  # type: ignore[union-attr]
        router.feedback(forgotten, 1.0)
        assert (router.learning.labels, router.learning.unmatched) == (1, 0)


def test_a_label_of_a_decision_that_is_nowhere_is_kept_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url) as router:
        router.feedback(NOWHERE, 1.0)
        router.feedback("dec_fedcba9876543210", 0.0)
        assert router.learning.unmatched == 2
        assert router.learning.labels == 0
        with pytest.raises(FeedbackError, match="no decision id"):
            router.feedback("dec_0", 1.0)
        assert router.learning.unmatched == 2
    assert [record["decision_id"] for record in feedback_in(url)] == [NOWHERE, "dec_fedcba9876543210"]
    (said,) = [r.getMessage() for r in caplog.records if r.name == "taskrouter.learning"]
    assert said.startswith(f"feedback for {NOWHERE} is kept, but teaches nothing yet")


def test_a_label_that_came_before_the_ledger_had_its_decision_teaches_later(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url, refresh_s=3600.0) as router, shared_router(url, refresh_s=0.05) as other:
        first = answer(router)
        other.feedback(first, 1.0)
        assert other.learning.unmatched == 1
        router._state.ledger.flush()  # type: ignore[union-attr]
        other._state._lookup._next_look_s = 0.0  # type: ignore[union-attr]
        other.learn()
        assert (other.learning.labels, other.learning.unmatched) == (1, 0)
    with shared_router(url) as later:  # its record has no lesson: the ledger says what it was of
        later.learn()
        assert later.learning.labels == 1


def test_without_learning_a_label_is_kept_and_nothing_is_looked_up(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url, learning={"enabled": False}) as router:
        router.feedback(NOWHERE, 1.0)
        assert router.learning.unmatched == 0
    assert len(feedback_in(url)) == 1


class Counting(Shared):
    """Counts how often the ledger is read from where one left off."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self, log: str, *, after: str | None = None, limit: int = 1000) -> Any:
        self.reads += 1
        return super().read(log, after=after, limit=limit)


def filled(count: int) -> tuple[Counting, list[str]]:
    store = Counting()
    with shared_router("memory:") as router:
        ids = [answer(router) for _ in range(count)]
        store.append(DECISIONS, texts_of(router))
    return store, ids


def texts_of(router: Router) -> list[str]:
    router._state.ledger.flush()  # type: ignore[union-attr]
    return [record.text for record in router._state.store.read(DECISIONS)]


def test_the_index_is_read_when_it_is_first_asked_and_then_only_what_is_new() -> None:
    store, ids = filled(3)
    now_s = [0.0]
    lookup = LedgerLookup(store, refresh_s=10.0, clock=lambda: now_s[0])
    assert store.reads == 0
    assert lookup.find(ids[0]) is not None
    assert store.reads == 2  # the index, and the record
    assert lookup.find(NOWHERE) is None
    assert lookup.find(ids[2]) is not None
    assert store.reads == 3
    now_s[0] = 10.0
    assert lookup.find(NOWHERE) is None
    assert store.reads == 4


def test_the_index_is_bounded_and_keeps_the_newest() -> None:
    store, ids = filled(5)
    lookup = LedgerLookup(store, refresh_s=10.0, indexed=2)
    assert [lookup.find(decision_id) is not None for decision_id in ids] == [False, False, False, True, True]


def test_a_record_that_was_trimmed_since_is_not_found() -> None:
    store, ids = filled(3)
    lookup = LedgerLookup(store, refresh_s=10.0)
    assert lookup.find(ids[0]) is not None
    store.trim(DECISIONS, keep=1)
    assert [lookup.find(decision_id) is not None for decision_id in ids] == [False, False, True]


def test_records_of_another_version_and_nonsense_are_no_decisions() -> None:
    store, ids = filled(1)
    store.append(DECISIONS, ['{"v": 99, "id": "dec_0000000000000001"}', "nonsense", "[]"])
    lookup = LedgerLookup(store, refresh_s=10.0)
    assert lookup.find("dec_0000000000000001") is None
    assert lookup.find(ids[0]) is not None
