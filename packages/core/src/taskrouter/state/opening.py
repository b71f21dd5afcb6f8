"""From a store's address, as users write it, to a store."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from taskrouter.errors import ConfigurationError
from taskrouter.state.memory import MemoryStore
from taskrouter.state.namespaced import NamespacedStore
from taskrouter.state.redis import RedisStore
from taskrouter.state.redis_address import SCHEMES
from taskrouter.state.sqlite import SQLiteStore
from taskrouter.state.store import StateStore

FORMS = {"memory": "memory:", "sqlite": "sqlite:///", **{scheme: f"{scheme}://" for scheme in SCHEMES}}
"""How an address starts, by its scheme."""


def open_store(url: str, *, namespace: str = "default", read_only: bool = False) -> StateStore:
    """Open a store by its address.

    Args:
        url: `memory:`; `sqlite:///relative/file` or `sqlite:////absolute/file`; `redis://`, `rediss://`, `valkey://`
            or `unix://`; or `env:NAME`, where the address is in that environment variable, as one with a password
            should be.
        namespace: stores of the same address and another namespace do not see each other.
        read_only: nothing will be written, and a SQLite file need not be writable.

    Raises:
        ConfigurationError: the scheme is unknown, the variable is not set, or the store cannot be used as addressed.
        MissingExtraError: the store needs an extra that is not installed.
        StoreUnavailable: a SQLite file is locked, or cannot be read or written.
    """
    address = _from_environment(url) if url.startswith("env:") else url
    scheme = address.partition(":")[0]
    if address in {"memory:", "memory://"}:
        return MemoryStore()
    if scheme == "sqlite":
        store = SQLiteStore(_file(address), read_only=read_only)
        return store if namespace == "default" else NamespacedStore(store, namespace)
    if scheme in SCHEMES and address.startswith(f"{scheme}://"):
        return RedisStore(address, namespace=namespace)
    raise _unknown(scheme, where=f"the address in {url[4:]}" if address is not url else "the store's address")


def _from_environment(reference: str) -> str:
    name = reference.removeprefix("env:")
    if not (address := os.environ.get(name, "")):
        raise ConfigurationError(f"the store's address is {reference!r}, but {name or 'no variable'} is not set")
    return address.strip()


def _file(address: str) -> Path:
    path = address.removeprefix("sqlite:///")
    if path in {"", address, ":memory:"} or "\0" in path:
        raise ConfigurationError(
            "the store's address names no file: write sqlite:///relative/file or sqlite:////absolute/file, "
            "or memory: for a store that keeps no file"
        )
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise ConfigurationError(
            "the store's address names the home folder of a user that there is not: write the path in full"
        ) from None


def _unknown(scheme: str, *, where: str) -> ConfigurationError:
    """Return the error; only the nearest known scheme is shown, for what was given may be anything, a key included."""
    near = difflib.get_close_matches(scheme.lower(), FORMS, n=1) if re.fullmatch(r"\w{1,20}", scheme) else []
    hint = f"; did you mean {FORMS[near[0]]}?" if near else ""
    return ConfigurationError(f"{where} does not start with a known scheme ({', '.join(FORMS.values())}){hint}")


def existing(url: str) -> str:
    """Return the address of a store that is to be read, if reading it does not make a new one.

    Raises:
        ConfigurationError: it is of a process's memory, or there is no such file.
    """
    address = os.environ.get(url[4:], "") if url.startswith("env:") else url
    if address.startswith("memory:"):
        raise ConfigurationError(
            "memory: is the state of a process and ends with it; read a store that was kept, such as sqlite:///file"
        )
    if address.startswith("sqlite:") and not (file := _file(address)).is_file():
        shown = address.removeprefix("sqlite:///")
        what = f"{shown} is a folder: name the file in it" if file.is_dir() else f"there is no state file {shown}"
        raise ConfigurationError(what)
    return url
