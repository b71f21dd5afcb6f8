"""Which ledger a command reads: the options for it, and where it is looked for when none is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from taskrouter.cli.pools import CONFIG_FILE
from taskrouter.config import STATE_VARIABLE, RouterConfig
from taskrouter.errors import ConfigurationError
from taskrouter.ledger import Ledger
from taskrouter.state.opening import existing

DATABASE: Final = Path("taskrouter.db")
"""The file that is read when nothing else says where the ledger is."""

StateOption = Annotated[
    str | None,
    typer.Option("--state", metavar="URL", help="Store with the ledger, such as sqlite:///taskrouter.db or env:NAME."),
]
LedgerConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help=f"Take the store from this file; default: {CONFIG_FILE}.")
]
NamespaceOption = Annotated[
    str | None, typer.Option("--namespace", help="Namespace of the store; default: the configuration's.")
]


class Place(NamedTuple):
    """Where a ledger is."""

    url: str
    namespace: str

    def __str__(self) -> str:
        """Say where, for people: without an address that may hold a password."""
        scheme = self.url.partition(":")[0]
        shown = self.url if scheme in {"sqlite", "env"} else f"{scheme}://..."
        return shown if self.namespace == "default" else f"{shown}, namespace {self.namespace}"


def open_ledger(place: Place) -> Ledger:
    """Open the ledger, which must exist.

    Raises:
        ConfigurationError: there is none; the message says what to change.
        StoreUnavailable: it cannot be reached.
    """
    return Ledger.open(place.url, namespace=place.namespace)


def find_place(
    state: str | None = None,
    config: Path | None = None,
    namespace: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
) -> Place:
    """Return where the ledger is that a command shall read.

    What is named wins: `--state`, then `--config`. Else the configuration of this folder if it keeps its state, the
    variable `TASKROUTER_STATE_URL`, a file `taskrouter.db` in this folder, in this order.

    Args:
        state: what `--state` says.
        config: what `--config` says.
        namespace: what `--namespace` says.
        environment: variables of the process.

    Raises:
        ConfigurationError: nothing keeps a ledger here, or what is named does not.
    """
    found = _named(state, config) or _around(environment)
    place = found if namespace is None else found._replace(namespace=namespace)
    existing(place.url)
    return place


def _named(state: str | None, config: Path | None) -> Place | None:
    kept = None if config is None else _configured(config)
    if state is not None:
        return Place(state, "default" if kept is None else kept.namespace)
    if kept is not None and kept.url.startswith("memory:"):
        raise ConfigurationError(f"{config}: it keeps its state in memory; {_ADVICE}, in this file")
    return kept


def _around(environment: Mapping[str, str]) -> Place:
    if CONFIG_FILE.exists() and not (kept := _configured(CONFIG_FILE)).url.startswith("memory:"):
        return kept
    if environment.get(STATE_VARIABLE, "").strip():
        return Place(f"env:{STATE_VARIABLE}", "default")
    if DATABASE.is_file():
        return Place(f"sqlite:///{DATABASE}", "default")
    raise ConfigurationError(
        f"no ledger is kept here: {_ADVICE} in {CONFIG_FILE}, or set {STATE_VARIABLE}=sqlite:///{DATABASE} for the "
        "application and this command, or name one that is there: --state"
    )


_ADVICE: Final = f'keep one with [state] url = "sqlite:///{DATABASE}"'


def _configured(path: Path) -> Place:
    kept = RouterConfig.load(path).state
    return Place(kept.url, kept.namespace)
