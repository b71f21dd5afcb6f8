"""States of different names in one store do not see each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskrouter.state.opening import open_store
from taskrouter.state.store import Claim, Entry, StateStore


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return str(request.getfixturevalue("redis_server").url)


def filled(store: StateStore) -> StateStore:
    store.put("s", {"key": Entry(value="one")})
    store.append("log", ["first"])
    assert store.claim("me", [Claim(account="a", spent=1, limit=1)]).granted
    return store


def test_namespaces_are_apart_and_each_is_whole(url: str) -> None:
    one = filled(open_store(url, namespace="test-one"))
    two = open_store(url, namespace="test-two")
    assert two.entries("s") == {}
    assert list(two.read("log")) == []
    assert two.claim("another", [Claim(account="a", spent=1, limit=1)]).granted
    again = open_store(url, namespace="test-one")
    assert again.entries("s") == {"key": Entry(value="one")}
    assert [record.text for record in again.read("log")] == ["first"]
    report = again.claim("another", [Claim(account="a", spent=1, limit=1)])
    assert not report.granted
    assert [(total.account, total.spent) for total in report.others] == [("a", 1)]
    two.trim("log", keep=0, before_s=again.read("log")[0].at_s + 1.0)
    assert [record.text for record in one.read("log")] == ["first"]
    again.trim("log", keep=0)
    assert list(one.read("log")) == []
    again.append("log", ["second"])
    again.trim("log", before_s=again.read("log")[0].at_s + 1.0)
    assert list(one.read("log")) == []
    for store in (one, two, again):
        store.close()
