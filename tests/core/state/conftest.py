"""Stores to test: one of each kind, with nothing in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from taskrouter.state.memory import MemoryStore
from taskrouter.state.redis import RedisStore
from taskrouter.state.resilient import ResilientStore
from taskrouter.state.sqlite import SQLiteStore
from taskrouter.state.store import StateStore

KINDS = ("memory", "sqlite", "redis", "resilient")


@pytest.fixture
def stores(tmp_path: Path, redis_url: str) -> Iterator[dict[str, Callable[[], StateStore]]]:
    """What opens a store of each kind; those that are shared open the same state again and again."""
    with ExitStack() as stack:

        def closing(store: StateStore) -> StateStore:
            stack.callback(store.close)
            return store

        memory = MemoryStore()
        yield {
            "memory": lambda: memory,
            "sqlite": lambda: closing(SQLiteStore(tmp_path / "state.db")),
            "redis": lambda: closing(RedisStore(redis_url)),
            "resilient": lambda: closing(ResilientStore(RedisStore(redis_url))),
        }


@pytest.fixture(params=KINDS)
def open_again(request: pytest.FixtureRequest, stores: dict[str, Callable[[], StateStore]]) -> Callable[[], StateStore]:
    """Opens the same state once more, as another process would."""
    return stores[request.param]


@pytest.fixture
def store(open_again: Callable[[], StateStore]) -> StateStore:
    """An empty store of each kind."""
    return open_again()
