"""State on a Redis or Valkey server, for the processes of many machines."""

from __future__ import annotations

import itertools
import math
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

from taskrouter.errors import ConfigurationError, MissingExtraError, StoreUnavailable
from taskrouter.state.redis_address import RedisAddress, read_address
from taskrouter.state.redis_failures import nonsense, speaks_otherwise, translated
from taskrouter.state.redis_scripts import APPEND, CLAIM, PUT, TRIM
from taskrouter.state.rules import LARGEST, checked
from taskrouter.state.store import Claim, Entry, LogRecord, Report, Total

T = TypeVar("T")
AT_ONCE = 500
"""So many records or accounts go to the server in one step; others wait while it is busy with them."""


class RedisStore:
    """A `StateStore` on a Redis server (5.0 or newer) or Valkey.

    All keys start with `taskrouter:{namespace}:`, so that in a Redis Cluster they share a slot. What the server has
    acknowledged is as durable as that server is configured (`appendonly`, `appendfsync`); this store cannot know.

    Nothing is sent before the first call. Calls are not repeated: an `append` whose answer was lost may have been
    written.

    Args:
        url: `redis://`, `rediss://` (TLS), `valkey://` or `unix://`. `?namespace=`, `?timeout_s=` and `?cluster=true`
            (a Redis Cluster) may stand in it; other parameters go to redis-py.
        namespace: which state this is, where several share a server.
        timeout_s: time to connect, and time for each answer.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: the address cannot be read.
        MissingExtraError: redis-py is not installed.
    """

    name = "redis"
    shared = True

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "default",
        timeout_s: float = 0.5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._address = read_address(url, namespace=namespace, timeout_s=timeout_s)
        self._clock = clock
        self._redis = _library()
        self._answered = False
        self._writer = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._client: Any = None
        if not self._address.cluster:  # a cluster's client connects when it is made
            self._client = _client(self._redis, self._address)

    def put(self, space: str, entries: Mapping[str, Entry | None]) -> None:
        """Write entries of a space; None removes one.

        Raises:
            StoreUnavailable: the server cannot be reached.
            ConfigurationError: it is no Redis server, or it refuses us.
        """
        arguments: list[str] = []
        for name, entry in entries.items():
            if entry is None:
                arguments += (name, "remove", "", "")
            else:
                expiry = "" if entry.expires_at_s is None else repr(float(entry.expires_at_s))
                arguments += (name, "put", expiry, entry.value)
        keys = [self._key("entries", space), self._key("expiries", space)]
        for at in range(0, len(arguments), 4 * AT_ONCE):
            self._script(PUT, keys, arguments[at : at + 4 * AT_ONCE])

    def entries(self, space: str) -> Mapping[str, Entry]:
        """Return the entries of a space that have not expired.

        Raises:
            StoreUnavailable: the server cannot be reached.
            ConfigurationError: it is no Redis server, or it refuses us.
        """
        stored = self._understood(_entries, self._ask(lambda client: client.hgetall(self._key("entries", space))))
        now_s = self._clock()
        return {n: entry for n, entry in stored.items() if entry.expires_at_s is None or entry.expires_at_s > now_s}

    def claim(self, owner: str, claims: Sequence[Claim]) -> Report:
        """Write what an owner has used, all of it or, if a limit would be broken, nothing.

        Raises:
            StoreUnavailable: the server cannot be reached.
            ConfigurationError: it is no Redis server, or it refuses us.
            ValueError: a claim is negative or too large, or an account is claimed twice.
        """
        if not checked(owner, claims):
            return Report(granted=True, others=())
        keys = [self._key("account", claim.account) for claim in claims]
        arguments = [owner, f"{self._writer}.{os.getpid()}", str(next(self._numbers))]
        for claim in claims:
            limit = "" if claim.limit is None else str(max(-LARGEST, min(claim.limit, LARGEST)))
            expiry = "" if claim.expires_at_s is None else str(int(claim.expires_at_s * 1000))
            arguments += (str(claim.spent), str(claim.held), limit, expiry)
        return self._understood(lambda answer: _report(claims, answer), self._script(CLAIM, keys, arguments))

    def append(self, log: str, texts: Sequence[str]) -> None:
        """Add records to a log. When this returns the server has them.

        Raises:
            StoreUnavailable: the server cannot be reached. The records may have been written nevertheless.
            ConfigurationError: it is no Redis server, or it refuses us.
        """
        for at in range(0, len(texts), AT_ONCE):
            self._script(APPEND, [self._key("log", log)], list(texts[at : at + AT_ONCE]))

    def read(self, log: str, *, after: str | None = None, limit: int = 1000) -> Sequence[LogRecord]:
        """Return records in their order, from the first or from the one after a position.

        Raises:
            StoreUnavailable: the server cannot be reached.
            ConfigurationError: it is no Redis server, or it refuses us.
            ValueError: the position is none of this store's.
        """
        start = "-" if after is None else _following(after)
        if limit < 1:
            return ()
        key = self._key("log", log)
        return self._understood(_records, self._ask(lambda client: client.xrange(key, min=start, count=limit)))

    def trim(self, log: str, *, keep: int | None = None, before_s: float | None = None) -> None:
        """Forget the oldest records of a log, by their number, their age or both.

        Raises:
            StoreUnavailable: the server cannot be reached.
            ConfigurationError: it is no Redis server, or it refuses us.
        """
        key = self._key("log", log)
        if keep is not None:
            self._ask(lambda client: client.xtrim(key, maxlen=max(keep, 0), approximate=False))
        if before_s is not None:
            last = f"{max(math.ceil(round(before_s * 1000, 3)) - 1, 0)}"
            while self._script(TRIM, [key], [last, str(AT_ONCE)]) == AT_ONCE:
                pass

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()

    def _key(self, kind: str, name: str) -> str:
        return f"taskrouter:{{{self._address.namespace}}}:{kind}:{name}"

    def _script(self, script: str, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        return self._ask(lambda client: client.register_script(script)(keys=keys, args=arguments))

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        try:
            if self._client is None:
                self._client = _client(self._redis, self._address)
            answer = question(self._client)
        except (
            self._redis.RedisError,
            self._redis.cluster.RedisClusterException,
            OSError,
            UnicodeDecodeError,
        ) as error:
            failure = translated(error, self._address)
            if isinstance(failure, StoreUnavailable) and self._may_be_another(error):
                failure = nonsense(self._address)
            raise failure from error
        except (AttributeError, LookupError, TypeError) as error:  # redis-py expects lists where lists belong
            raise nonsense(self._address) from error
        self._answered = True
        return answer

    def _may_be_another(self, error: Exception) -> bool:
        """Return whether what hung up is no Redis; asked only before it has ever answered as one."""
        hung_up = isinstance(error, self._redis.ConnectionError)
        return hung_up and not self._answered and speaks_otherwise(self._address)

    def _understood(self, read: Callable[[Any], T], answer: Any) -> T:
        try:
            return read(answer)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise nonsense(self._address) from error


def _library() -> Any:
    try:
        return import_module("redis")
    except ModuleNotFoundError as error:
        raise MissingExtraError("redis", extra="redis", wanted_for="shared state on Redis") from error


def _client(redis: Any, address: RedisAddress) -> Any:
    """Make a client that tries once: who waits for state would rather go on without it."""
    options = {
        "decode_responses": True,
        "protocol": 2,  # every version of Redis and Valkey speaks it
        "socket_timeout": address.timeout_s,
        "socket_connect_timeout": address.timeout_s,
        "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 1 if address.cluster else 0),  # a slot may have moved
    }
    try:
        pool = redis.ConnectionPool.from_url(address.url, **options)
        pool.connection_class(**pool.connection_kwargs)  # does not connect, but knows which parameters there are
    except (TypeError, ValueError):  # their text may quote a password
        raise ConfigurationError(
            f"Redis at {address.where}: a parameter in its address is unknown or has a wrong value; "
            "ours are namespace, timeout_s and cluster, the others are those of redis-py"
        ) from None
    if address.cluster:
        return redis.cluster.RedisCluster.from_url(address.url, **options)
    client = redis.Redis(connection_pool=pool)
    client.auto_close_connection_pool = True
    return client


def _entries(answer: Mapping[str, str]) -> dict[str, Entry]:
    stored = {name: text.partition(" ") for name, text in answer.items()}
    return {
        n: Entry(value=value, expires_at_s=float(expiry) if expiry else None)
        for n, (expiry, _, value) in stored.items()
    }


def _report(claims: Sequence[Claim], answer: Sequence[Any]) -> Report:
    granted, *numbers = map(int, answer)
    totals = zip(claims, numbers[0::3], numbers[1::3], numbers[2::3], strict=True)
    others = tuple(Total(account=claim.account, spent=s, held=h, owners=n) for claim, s, h, n in totals)
    return Report(granted=bool(granted), others=others)


def _records(answer: Sequence[tuple[str, Mapping[str, str]]]) -> tuple[LogRecord, ...]:
    return tuple(_record(id_, fields["text"]) for id_, fields in answer)


def _record(id_: str, text: str) -> LogRecord:
    """Read a record: a stream's ids are `<milliseconds>-<number>`, which we pad so that they sort as text."""
    at_ms, number = map(int, id_.split("-"))
    return LogRecord(position=f"{at_ms:015d}-{number:020d}", at_s=at_ms / 1000, text=text)


def _following(position: str) -> str:
    """Return the first id behind a position; only Redis 6.2 and newer can exclude the position itself."""
    if not re.fullmatch(r"\d+-\d+", position):
        raise ValueError(f"{position!r} is no position in a log on Redis")
    at_ms, number = map(int, position.split("-"))
    return f"{at_ms}-{number + 1}"
