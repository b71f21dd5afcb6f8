"""Addresses of stores, as users write them."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from taskrouter.errors import ConfigurationError
from taskrouter.state.opening import open_store


@pytest.mark.parametrize("url", ["memory:", "memory://"])
def test_memory_is_opened(url: str) -> None:
    store = open_store(url)
    assert (store.name, store.shared) == ("memory", False)


def test_a_file_is_opened_relative_absolute_or_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for url, name in (
        ("sqlite:///relative.db", "relative.db"),
        (f"sqlite:///{tmp_path}/absolute.db", "absolute.db"),
        ("sqlite:///~/home.db", "home.db"),
    ):
        store = open_store(url)
        assert (store.name, store.shared) == ("sqlite", True)
        store.close()
        assert (tmp_path / name).exists()


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite://", "sqlite:", "sqlite://state.db", "sqlite:///:memory:"])
def test_a_file_without_a_name_is_an_error_that_shows_how_to_write_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///relative/file or sqlite:////absolute/file"):
        open_store(url)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey"])
def test_redis_is_opened_without_asking_it(scheme: str) -> None:
    store = open_store(f"{scheme}://127.0.0.1:1/0")
    assert (store.name, store.shared) == ("redis", True)
    store.close()


def test_an_address_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_URL", f" sqlite:///{tmp_path}/state.db\n")
    store = open_store("env:STATE_URL")
    assert store.name == "sqlite"
    store.close()


@pytest.mark.parametrize("reference", ["env:NOT_SET_ANYWHERE", "env:"])
def test_a_variable_that_is_not_set_is_an_error_that_names_it(reference: str) -> None:
    assert "NOT_SET_ANYWHERE" not in os.environ
    with pytest.raises(ConfigurationError, match=f"{reference}.*is not set"):
        open_store(reference)


@pytest.mark.parametrize(
    ("url", "nearest"),
    [
        ("rdis://host", "redis://"),
        ("SQLITE:///x", "sqlite:///"),
        ("valkyrie://host", "valkey://"),
        ("memroy:", "memory:"),
    ],
)
def test_an_unknown_scheme_is_an_error_that_names_the_known_ones_and_the_nearest(url: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError, match=r"memory:, sqlite:///, redis://.*did you mean") as caught:
        open_store(url)
    assert str(caught.value).endswith(f"did you mean {nearest}?")


@pytest.mark.parametrize("url", ["s3cr3t", "s3cr3t:6379", "postgres://user:s3cr3t@host/db", "redis:s3cr3t", ""])
def test_what_is_no_address_is_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_URL", url or " ")
    for given in (url, "env:STATE_URL"):
        with pytest.raises(ConfigurationError, match="does not start with a known scheme") as caught:
            open_store(given)
        assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "message"),
    [("sqlite:///~nobody-of-that-name/state.db", "write the path in full"), ("sqlite:///a\0b.db", "names no file")],
)
def test_a_path_that_there_cannot_be_is_an_error(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_store(url)
