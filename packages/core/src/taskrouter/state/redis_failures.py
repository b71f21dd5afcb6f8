"""What redis-py raises, as what a `StateStore` raises: an outage passes, a wrong setting does not."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from taskrouter.errors import ConfigurationError, StoreUnavailable, TaskRouterError
from taskrouter.state.redis_address import RedisAddress

_PASSING = {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN"}
"""First words of the errors with which a server says "not now"."""
_UNNAMED_REFUSAL = "Protocol error: unauthenticated"
"""How a server without a password from us answers a long command."""


def translated(error: Exception, address: RedisAddress) -> TaskRouterError:
    """Return what to raise for an error of redis-py; its own text may quote anything and is left out."""
    exceptions: Any = import_module("redis.exceptions")
    chain = tuple(_chain(error))
    if any(isinstance(e, _refusals(exceptions)) or _UNNAMED_REFUSAL in str(e) for e in chain):
        return ConfigurationError(
            f"Redis at {address.where} refused us: check user and password in its address, and the user's permissions "
            "(hashes, sorted sets, streams, scripts)"
        )
    if any(isinstance(e, ssl.SSLError) for e in chain):
        return ConfigurationError(
            f"Redis at {address.where}: no TLS connection could be made: check that the server speaks TLS on this port "
            "(rediss:// is TLS, redis:// is not) and that its certificate is trusted"
        )
    if any(isinstance(e, exceptions.InvalidResponse | UnicodeDecodeError) for e in chain):
        return nonsense(address)
    if isinstance(error, exceptions.MovedError | exceptions.AskError):
        return ConfigurationError(f"Redis at {address.where} is a cluster: add ?cluster=true to its address")
    if isinstance(error, exceptions.ResponseError) and (word := _first_word(error)) not in _PASSING:
        return ConfigurationError(
            f"Redis at {address.where} answered with the error {word}: check that it is Redis 5.0 or newer, or Valkey, "
            f"and that no other application uses keys of the namespace {address.namespace!r}"
        )
    return StoreUnavailable(f"Redis at {address.where} cannot be reached: {_kind(error)}")


def nonsense(address: RedisAddress) -> ConfigurationError:
    """Return what to raise when the answers are no answers of Redis."""
    return ConfigurationError(
        f"what answers at {address.where} does not speak the protocol of Redis: check host and port in its address"
    )


def speaks_otherwise(address: RedisAddress) -> bool:
    """Return whether what listens there answers a greeting, but not as Redis does.

    redis-py tells "the connection was closed" of a web server that has sent a page without the line ends it waits for.
    """
    if address.endpoint is None:
        return False
    try:
        with socket.create_connection(address.endpoint, timeout=address.timeout_s) as connection:
            connection.sendall(b"PING\r\n")
            first = connection.recv(1)
    except OSError:
        return False
    return first not in {b"", b"+", b"-"}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _refusals(exceptions: Any) -> tuple[type[Exception], ...]:
    return (
        exceptions.AuthenticationError,
        exceptions.AuthenticationWrongNumberOfArgsError,
        exceptions.AuthorizationError,
        exceptions.NoPermissionError,
    )


def _first_word(error: Exception) -> str:
    """Return the code of a server's error: redis-py cuts off those that it knows, and tells them in `status_code`."""
    code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return code if code.isupper() and code.isalpha() else "ERR"


def _kind(error: Exception) -> str:
    if isinstance(error, TimeoutError) or type(error).__name__ == "TimeoutError":
        return "no answer in time"
    word = getattr(error, "status_code", None)
    return f"it says {word}" if word in _PASSING else "the connection failed"
