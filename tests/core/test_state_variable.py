"""`TASKROUTER_STATE_URL`: one variable, and every router without a `[state] url` keeps its state there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.cli.routed import CARDS, ask

from taskrouter import ConfigurationError, Router
from taskrouter.config import RouterConfig
from taskrouter.ledger import Ledger


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/all.db"
    monkeypatch.setenv("TASKROUTER_STATE_URL", url)
    return url


def test_a_router_that_is_told_nothing_keeps_its_ledger_where_the_variable_says(url: str) -> None:
    with Router(CARDS, "large") as router:
        made = ask(router)
    with Ledger.open(url) as ledger:
        assert [record.id for record in ledger.records()] == [made]


def test_what_is_configured_wins(url: str, tmp_path: Path) -> None:
    named = f"sqlite:///{tmp_path}/named.db"
    assert RouterConfig.load({"state": {"url": named}}).state.url == named
    assert RouterConfig.load({"state": {"url": "memory:"}}).state.url == "memory:"


def test_the_other_keys_of_the_section_may_be_given_beside_it(url: str) -> None:
    state = RouterConfig.load({"state": {"namespace": "blue"}}).state
    assert (state.url, state.namespace) == ("env:TASKROUTER_STATE_URL", "blue")


def test_an_address_with_a_password_stays_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKROUTER_STATE_URL", "redis://:hunter2@127.0.0.1:6379/0")
    config = RouterConfig()
    assert "hunter2" not in f"{config!r} {config.model_dump()}"


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TASKROUTER_STATE_URL", value)
    assert RouterConfig().state.url == "memory:"


def test_a_wrong_address_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKROUTER_STATE_URL", "sqlight:///x.db")
    with pytest.raises(ConfigurationError, match="the address in TASKROUTER_STATE_URL does not start with a known"):
        Router(CARDS, "large")
