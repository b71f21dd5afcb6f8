"""A store that goes away and comes back, with a real server that is stopped, killed and started."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.core.state.redis_server import RedisServer, free_port

from taskrouter.errors import ConfigurationError, StoreUnavailable
from taskrouter.state.redis import RedisStore
from taskrouter.state.resilient import ResilientStore
from taskrouter.state.sqlite import SQLiteStore
from taskrouter.state.store import Claim, Entry, StateStore, Total

TIMEOUT_S = 0.5
RETRY_S = 0.05


@pytest.fixture
def resilient(own_redis: RedisServer) -> Iterator[ResilientStore]:
    with closing(wrapped(own_redis)) as store:
        yield store


@pytest.fixture
def direct(own_redis: RedisServer) -> Iterator[RedisStore]:
    """The same state without the wrapper, to see what is really there."""
    with closing(RedisStore(own_redis.url, timeout_s=5)) as store:
        yield store


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """What the logger has said so far, from information upwards."""
    caplog.set_level(logging.INFO, "taskrouter.state")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def wrapped(server: RedisServer, retry_s: float = RETRY_S, **options: int) -> ResilientStore:
    return ResilientStore(RedisStore(server.url, timeout_s=TIMEOUT_S), retry_s=retry_s, **options)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s, "it does not come about"
        time.sleep(0.001)


def spent(store: StateStore, account: str) -> Total:
    """Return what everybody has used of an account."""
    (total,) = store.claim("nobody", [Claim(account=account, spent=0)]).others
    return total


@pytest.mark.parametrize("way", ["killed", "hanging"])
def test_work_goes_on_while_the_server_is_away_and_nothing_is_lost(
    way: str,
    own_redis: RedisServer,
    resilient: ResilientStore,
    direct: RedisStore,
    said: Callable[[], list[tuple[str, str]]],
) -> None:
    resilient.put("health", {"a": Entry(value="open"), "b": Entry(value="open")})
    direct.put("health", {"c": Entry(value="from another process")})
    assert sorted(resilient.entries("health")) == ["a", "b", "c"]
    resilient.claim("me", [Claim(account="x", spent=10, limit=100)])
    resilient.append("log", ["before"])
    assert resilient.available

    own_redis.pause() if way == "hanging" else own_redis.kill()
    resilient.put("health", {"a": Entry(value="closed"), "b": None, "d": Entry(value="open")})
    assert not resilient.available
    assert resilient.entries("health") == {
        "a": Entry(value="closed"),
        "c": Entry(value="from another process"),
        "d": Entry(value="open"),
    }
    assert resilient.claim("me", [Claim(account="x", spent=30, held=5, limit=100)]).granted
    assert not resilient.claim("me", [Claim(account="x", spent=101, limit=100)]).granted
    resilient.append("log", ["meanwhile 1", "meanwhile 2"])
    resilient.append("other log", ["meanwhile 3"])
    assert resilient.pending == 3
    resilient.trim("log", keep=0)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        resilient.read("log")

    own_redis.go_on() if way == "hanging" else own_redis.start()
    until(lambda: resilient.available)
    assert resilient.pending == 0
    assert spent(direct, "x") == Total(account="x", spent=30, held=5, owners=1)
    health = {name: entry.value for name, entry in direct.entries("health").items()}
    kept = {"c": "from another process"} if way == "hanging" else {}
    assert health == {"a": "closed", "d": "open", **kept}
    texts = [record.text for record in resilient.read("log")]
    assert texts == (["before"] if way == "hanging" else []) + ["meanwhile 1", "meanwhile 2"]
    assert [record.text for record in direct.read("other log")] == ["meanwhile 3"]
    until(lambda: len(said()) == 2)
    (first, away), (second, back) = said()
    assert (first, second) == ("WARNING", "INFO")
    assert "shared state (redis) is away, going on with local state: Redis at 127.0.0.1:" in away
    assert "is back after" in back
    assert "1 accounts, 3 entries, 3 log records (0 lost)" in back


def test_what_a_server_forgot_is_reported_again_although_nothing_was_claimed_meanwhile(
    own_redis: RedisServer, resilient: ResilientStore, direct: RedisStore
) -> None:
    resilient.claim("me", [Claim(account="x", spent=60, limit=100), Claim(account="y", spent=1)])
    resilient.claim("me too", [Claim(account="x", spent=20, held=20, limit=100)])
    own_redis.kill()
    resilient.entries("s")
    own_redis.start()
    until(lambda: resilient.available)
    assert spent(direct, "x") == Total(account="x", spent=80, held=20, owners=2)
    assert spent(direct, "y") == Total(account="y", spent=1, owners=1)
    assert not resilient.claim("late", [Claim(account="x", spent=1, limit=100)]).granted


def test_who_notices_that_a_server_forgot_holds_its_share_there_at_once(own_redis: RedisServer) -> None:
    def claim(store: StateStore, owner: str, spent: int) -> bool:
        return store.claim(owner, [Claim(account="x", spent=spent, limit=100)]).granted

    with closing(wrapped(own_redis, retry_s=60)) as first, closing(wrapped(own_redis, retry_s=60)) as second:
        assert claim(first, "first", 20)
        assert claim(second, "second", 20)
        assert claim(first, "first", 21)
        own_redis.kill()
        own_redis.start()
        # Of the 59 that are left one half is the first one's, which goes on alone; the second has noticed nothing.
        assert claim(first, "first", 22)
        assert not first.available
        assert not claim(second, "second", 51)
        assert claim(second, "second", 50)
        assert claim(first, "first", 50)
        assert not claim(first, "first", 51)
        assert second.available


def test_a_report_of_what_was_spent_is_not_refused_when_another_was_faster(
    own_redis: RedisServer, resilient: ResilientStore, direct: RedisStore
) -> None:
    resilient.claim("me", [Claim(account="x", spent=60, limit=100)])
    own_redis.kill()
    resilient.entries("s")
    own_redis.start()
    direct.claim("other", [Claim(account="x", spent=100, limit=100)])
    until(lambda: spent(direct, "x").owners == 2)
    until(lambda: spent(direct, "x").held == 0)  # the rest of a share, until all have had the time to report
    assert spent(direct, "x") == Total(account="x", spent=160, owners=2)


def test_a_hanging_server_is_waited_for_once_and_then_nobody_waits(own_redis: RedisServer) -> None:
    with closing(wrapped(own_redis, retry_s=3600)) as store:
        store.claim("me", [Claim(account="x", spent=1, limit=10**6)])
        own_redis.pause()
        threads_before = threading.active_count()

        def work(number: int) -> int:
            for amount in range(200):
                store.claim(f"owner {number}", [Claim(account="x", spent=amount, limit=10**9)])
                store.put("s", {f"{number}": Entry(value=str(amount))})
            return len(store.entries("s"))

        started_s = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            assert all(count >= 1 for count in pool.map(work, range(8)))
        # 3200 calls that would take half a second each: far from it, and far from a bound that measures speed.
        assert time.monotonic() - started_s < 3200 * TIMEOUT_S / 10
        assert not store.available
        assert threading.active_count() <= threads_before + 1, "one thread tries the store again"
        own_redis.go_on()


def test_an_account_that_ended_meanwhile_is_not_reported(
    own_redis: RedisServer, resilient: ResilientStore, direct: RedisStore
) -> None:
    resilient.claim("me", [Claim(account="lasts", spent=1)])
    own_redis.kill()
    resilient.claim(
        "me", [Claim(account="over", spent=1, expires_at_s=time.time() - 1), Claim(account="lasts", spent=2)]
    )
    own_redis.start()
    until(lambda: resilient.available)
    assert spent(direct, "over") == Total(account="over")
    assert spent(direct, "lasts") == Total(account="lasts", spent=2, owners=1)


def test_a_store_that_is_away_from_the_start_is_joined_later(said: Callable[[], list[tuple[str, str]]]) -> None:
    server = RedisServer()
    server.kill()
    with closing(wrapped(server)) as store:
        assert store.claim("me", [Claim(account="x", spent=7, limit=10)]).granted
        store.append("log", ["early"])
        assert not store.available
        server.start()
        until(lambda: store.available)
        assert [record.text for record in store.read("log")] == ["early"]
        assert spent(store, "x").spent == 7
        assert [level for level, _ in said()][:1] == ["WARNING"]
    server.close()


def test_a_wrong_address_is_an_error_and_no_outage(said: Callable[[], list[tuple[str, str]]]) -> None:
    with RedisServer("--requirepass", "s3cr3t") as server, closing(wrapped(server)) as store:
        with pytest.raises(ConfigurationError, match="refused us"):
            store.entries("s")
        assert store.available
        assert said() == []


def test_a_server_that_changes_its_mind_later_is_an_outage(
    own_redis: RedisServer, resilient: ResilientStore, said: Callable[[], list[tuple[str, str]]]
) -> None:
    resilient.entries("s")
    with own_redis.client() as client:
        client.config_set("requirepass", "s3cr3t")
        client.execute_command("AUTH", "s3cr3t")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert resilient.entries("s") == {}
        assert not resilient.available
        ((level, message),) = said()
        assert level == "WARNING"
        assert "refused us" in message
        assert "s3cr3t" not in message
        client.config_set("requirepass", "")
        until(lambda: resilient.available)


def test_too_many_records_lose_the_oldest_with_one_warning_and_a_count(
    own_redis: RedisServer, said: Callable[[], list[tuple[str, str]]]
) -> None:
    with closing(wrapped(own_redis, queued_records=10)) as store:
        own_redis.kill()
        for number in range(25):
            store.append("log", [str(number)])
        assert (store.pending, store.dropped) == (10, 15)
        own_redis.start()
        until(lambda: store.available)
        assert [record.text for record in store.read("log")] == [str(number) for number in range(15, 25)]
        until(lambda: len(said()) == 3)
        warnings = [message for level, message in said() if level == "WARNING"]
        assert len(warnings) == 2
        assert "more than 10 log records wait" in warnings[1]
        assert "(15 lost)" in said()[-1][1]


def test_a_record_that_no_store_could_write_does_not_hold_up_the_others(own_redis: RedisServer) -> None:
    with closing(wrapped(own_redis)) as store:
        own_redis.kill()
        store.append("log", ["1"])
        with pytest.raises(UnicodeEncodeError):
            store.append("log", ["\ud800"])
        with pytest.raises(UnicodeEncodeError):
            store.put("s", {"a": Entry(value="\ud800")})
        with pytest.raises(UnicodeEncodeError):
            store.claim("\ud800", [Claim(account="x", spent=1)])
        own_redis.start()
        until(lambda: store.available)
        assert [record.text for record in store.read("log")] == ["1"]


def test_without_a_queue_an_append_says_that_it_failed(own_redis: RedisServer) -> None:
    with closing(wrapped(own_redis, queued_records=0)) as store:
        own_redis.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                store.append("log", ["1"])
        assert store.pending == 0
        store.put("s", {"a": Entry(value="1")})
        own_redis.start()


def test_closing_writes_what_waits_if_the_store_is_there(own_redis: RedisServer, direct: RedisStore) -> None:
    store = wrapped(own_redis, retry_s=3600)
    own_redis.kill()
    store.append("log", ["1"])
    own_redis.start()
    store.close()
    assert [record.text for record in direct.read("log")] == ["1"]


def test_closing_without_the_store_says_what_is_lost(
    own_redis: RedisServer, said: Callable[[], list[tuple[str, str]]]
) -> None:
    store = wrapped(own_redis, retry_s=3600)
    own_redis.kill()
    store.append("log", ["1", "2"])
    store.close()
    assert "2 log records are lost" in said()[-1][1]


def test_writers_that_go_on_while_the_store_comes_back_lose_nothing(own_redis: RedisServer, direct: RedisStore) -> None:
    """Three outages under load: in the end the store has everything, in each writer's order."""
    writers, stop = 4, threading.Event()
    with closing(wrapped(own_redis)) as store:

        def work(number: int) -> int:
            count = 0
            while not stop.is_set():
                store.append(f"log {number}", [str(count)])
                store.claim(f"owner {number}", [Claim(account="x", spent=count)])
                store.put("s", {str(number): Entry(value=str(count))})
                count += 1
                time.sleep(0.0005)  # so that what waits for the store stays within its bound
            return count

        with ThreadPoolExecutor(writers) as pool:
            running = [pool.submit(work, number) for number in range(writers)]
            for _ in range(3):
                own_redis.pause()
                until(lambda: not store.available)
                own_redis.go_on()
                until(lambda: store.available)
            stop.set()
            counts = [future.result(60) for future in running]
        until(lambda: store.available and store.pending == 0)
        assert store.dropped == 0
    for number, count in enumerate(counts):
        texts = [record.text for record in direct.read(f"log {number}", limit=10**6)]
        assert list(dict.fromkeys(texts)) == [str(n) for n in range(count)], "twice is possible, never is not"
        assert direct.entries("s")[str(number)] == Entry(value=str(count - 1))
    assert spent(direct, "x") == Total(account="x", spent=sum(counts) - writers, owners=writers)


def test_a_locked_file_is_an_outage_too(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "state.db"
    with (
        closing(ResilientStore(SQLiteStore(file, timeout_s=1), retry_s=RETRY_S)) as store,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        store.append("log", ["1"])
        assert (store.available, store.pending) == (False, 1)
        other.execute("ROLLBACK")
        until(lambda: store.available)
        assert [record.text for record in store.read("log")] == ["1"]


def test_a_child_of_a_fork_reports_nothing_of_its_parent(own_redis: RedisServer, direct: RedisStore) -> None:
    with closing(wrapped(own_redis, retry_s=3600)) as store:
        store.claim("parent", [Claim(account="x", spent=1)])
        own_redis.kill()
        store.append("log", ["parent"])
        own_redis.start()
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:  # a child that raises must not go on with the tests
            try:
                store.append("log", ["child"])
                os.write(writer, f"{store.available} {store.pending}".encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as said_by_child:
            assert said_by_child.read() == "True 0"
        os.waitpid(child, 0)
        assert [record.text for record in direct.read("log")] == ["child"]
        assert spent(direct, "x") == Total(account="x")
        assert store.pending == 1


def test_it_is_named_and_shared_as_what_it_wraps() -> None:
    store = ResilientStore(RedisStore(f"redis://127.0.0.1:{free_port()}"))
    assert (store.name, store.shared, store.available, store.pending) == ("redis", True, True, 0)
    store.close()
