"""What tests of several rooms share: real Redis servers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from tests.core.state.redis_server import RedisServer

_namespaces = itertools.count()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server that all tests share; each uses a namespace of its own, and none stops it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server for one test, which may stop it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty namespace."""
    return f"{redis_server.url}?namespace=shared-{next(_namespaces)}&timeout_s=5"
