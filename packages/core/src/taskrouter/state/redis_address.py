"""The address of a Redis server, read without ever showing what may be a password in it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from taskrouter.errors import ConfigurationError

SCHEMES = ("redis", "rediss", "valkey", "unix")
_NAMESPACE = re.compile(r"[^{}\s]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where a server is, and how it is used."""

    url: str = field(repr=False)
    """For redis-py, without our own parameters."""
    where: str
    """Host and port, or the socket's path: for messages."""
    endpoint: tuple[str, int] | None
    """Where a plain connection can be made; None for a socket in the file system, and for TLS."""
    namespace: str
    cluster: bool
    timeout_s: float


def read_address(url: str, *, namespace: str, timeout_s: float) -> RedisAddress:
    """Read an address such as `redis://user:password@host:6379/0?namespace=agents&timeout_s=0.2`.

    Args:
        url: the address.
        namespace: used where the address names none.
        timeout_s: used where the address names none.

    Raises:
        ConfigurationError: it is no address of a Redis server.
    """
    try:
        parts = urlsplit(url)
        scheme = "redis" if parts.scheme == "valkey" else parts.scheme
        where = parts.path if scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:  # its text may quote the password
        raise _unreadable() from None
    if scheme not in SCHEMES or not _plain(parts, scheme):
        raise _unreadable()
    ours = {key: query.pop(key) for key in ("namespace", "cluster", "timeout_s") if key in query}
    return RedisAddress(
        url=f"{scheme}://{parts.netloc}{parts.path}" + (f"?{urlencode(query)}" if query else ""),
        where=where,
        endpoint=(parts.hostname or "localhost", parts.port or 6379) if scheme == "redis" else None,
        namespace=_namespace(ours.get("namespace", namespace)),
        cluster=_flag(ours.get("cluster", "false")),
        timeout_s=_seconds(ours.get("timeout_s", timeout_s)),
    )


def _plain(parts: SplitResult, scheme: str) -> bool:
    """Return whether the parts are what they seem: a bare `/`, `?` or `#` in a password moves all of them."""
    path = bool(parts.path) if scheme == "unix" else re.fullmatch(r"(/\d*)?", parts.path) is not None
    return path and not parts.fragment and "@" not in parts.query


def _unreadable() -> ConfigurationError:
    return ConfigurationError(
        "the address of Redis cannot be read: write redis://user:password@host:port/database, or "
        "unix:///path/to/socket, with special characters of the password percent-encoded (%2F for /)"
    )


def _namespace(name: str) -> str:
    if not _NAMESPACE.fullmatch(name):
        raise ConfigurationError("Redis: a namespace has 1 to 100 characters, without spaces and braces")
    return name


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ConfigurationError("Redis: cluster is 'true' or 'false'")
    return text == "true"


def _seconds(value: float | str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 60:
        raise ConfigurationError("Redis: timeout_s is a number of seconds above 0 and up to 60")
    return seconds
