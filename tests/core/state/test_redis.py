"""The Redis store's own business: addresses, servers that refuse or are none, restarts, clusters."""

from __future__ import annotations

import itertools
import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.core.state.redis_server import RedisServer, free_port

from taskrouter.errors import ConfigurationError, MissingExtraError, StoreUnavailable
from taskrouter.state.redis import RedisStore
from taskrouter.state.store import Claim, Entry, StateStore, Total

PASSWORD = "s3cr3t/pass#word?"


def use(store: StateStore) -> None:
    """Do one of everything, and see that it was done."""
    store.put("s", {"a": Entry(value="1")})
    assert store.entries("s") == {"a": Entry(value="1")}
    assert store.claim("a", [Claim(account="x", spent=1, limit=10), Claim(account="y", spent=1)]).granted
    store.append("log", ["1"])
    assert [record.text for record in store.read("log")][-1:] == ["1"]
    store.trim("log", keep=1)


# addresses


def test_tcp_socket_and_valkey_addresses_reach_the_server(redis_server: RedisServer) -> None:
    port = redis_server.port
    for url in (
        f"valkey://127.0.0.1:{port}/0?namespace=v",
        f"unix://{redis_server.socket}?db=0&namespace=u",
        f"redis://127.0.0.1:{port}/0?socket_timeout=3&timeout_s=2&client_name=taskrouter",
    ):
        with closing(RedisStore(url)) as store:
            use(store)
            assert len(store.read("log")) == 1


def test_namespaces_are_apart_and_the_address_wins(redis_server: RedisServer) -> None:
    with (
        closing(RedisStore(redis_server.url, namespace="one")) as one,
        closing(RedisStore(f"{redis_server.url}?namespace=two", namespace="one")) as two,
    ):
        one.put("s", {"a": Entry(value="1")})
        assert two.entries("s") == {}


def test_all_keys_of_a_namespace_share_a_hash_tag(redis_server: RedisServer) -> None:
    with closing(RedisStore(redis_server.url, namespace="tag")) as store, redis_server.client() as client:
        store.put("s{other}", {"a": Entry(value="1", expires_at_s=2e9)})
        store.claim("a", [Claim(account="{x}", spent=1)])
        store.append("{log}", ["1"])
        keys = client.keys("taskrouter:{tag}:*")
        assert sorted(keys) == [
            "taskrouter:{tag}:account:{x}",
            "taskrouter:{tag}:entries:s{other}",
            "taskrouter:{tag}:expiries:s{other}",
            "taskrouter:{tag}:log:{log}",
        ]


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{PASSWORD}@127.0.0.1:6379/0",
        "redis://:s3cr3t@127.0.0.1:port/0",
        "redis://user:12/s3cr3t@127.0.0.1:6379",
        "redis://user:12#s3cr3t@127.0.0.1:6379",
        "redis://user:12?s3cr3t@127.0.0.1:6379",
        "redis://:s3cr3t@127.0.0.1:6379/zero",
        "redis://:s3cr3t@127.0.0.1:6379/0?socket_timeout=soon",
        "redis://:s3cr3t@127.0.0.1:6379/0?tiemout=3",
        "redis://:s3cr3t@127.0.0.1:6379/0?timeout_s=never",
        "redis://:s3cr3t@127.0.0.1:6379/0?timeout_s=0",
        "redis://:s3cr3t@127.0.0.1:6379/0?cluster=perhaps",
        "redis://:s3cr3t@127.0.0.1:6379/0?namespace=a{b}",
        "redis://:s3cr3t@127.0.0.1:6379/0?namespace=",
        "unix://",
        "http://:s3cr3t@127.0.0.1:6379",
    ],
)
def test_a_wrong_address_is_an_error_that_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="Redis") as caught:
        RedisStore(url)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


def test_without_redis_py_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'taskrouter\[redis\]'"):
        RedisStore("redis://127.0.0.1")


def test_making_a_store_sends_nothing() -> None:
    store = RedisStore(f"redis://127.0.0.1:{free_port()}")
    store.close()
    with pytest.raises(StoreUnavailable):
        store.entries("s")


# who answers


@pytest.fixture
def locked_redis() -> Iterator[RedisServer]:
    with RedisServer("--requirepass", PASSWORD) as server:
        yield server


def test_a_wrong_password_is_a_configuration_error_that_does_not_show_it(locked_redis: RedisServer) -> None:
    port = locked_redis.port
    with closing(RedisStore(f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0")) as store:
        use(store)
    for credentials in ("", ":s3cr3t-but-wrong@", "user:s3cr3t-but-wrong@"):
        with closing(RedisStore(f"redis://{credentials}127.0.0.1:{port}/0")) as store:
            for call in calls(store):
                with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port} refused us") as caught:
                    call()
                assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


def test_a_user_who_may_not_run_scripts_is_refused(own_redis: RedisServer) -> None:
    with own_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@read", "+@connection")
    with closing(RedisStore(f"redis://reader:any@127.0.0.1:{own_redis.port}/0")) as store:
        assert store.entries("s") == {}
        with pytest.raises(ConfigurationError, match="refused us"):
            store.claim("a", [Claim(account="x", spent=1)])


def test_a_user_with_the_commands_that_the_page_names_may_do_everything(own_redis: RedisServer) -> None:
    page = (Path(__file__).parents[3] / "docs/state.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"Its user needs the commands (.*)\.", page)
    commands = [f"+{name.lower().replace(' ', '|')}" for name in re.findall(r"`([A-Z ]+)`", sentence)]
    assert len(commands) > 10
    with own_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "router", "on", "nopass", "~taskrouter:*", "-@all", *commands)
    with closing(RedisStore(f"redis://router:any@127.0.0.1:{own_redis.port}/0")) as store:
        use(store)
        store.put("s", {"a": Entry(value="1", expires_at_s=1.0), "b": None})
        store.put("s", {})
        store.put("s", {"b": Entry(value="1")})
        assert store.claim("a", [Claim(account="x", spent=2, expires_at_s=2e9)]).granted


class Page(BaseHTTPRequestHandler):
    """What somebody's web server says to a Redis command."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def http_server() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def saying(words: bytes) -> Iterator[int]:
    """Answer whatever comes with the same words, until the listener is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(ConnectionError):
                    while connection.recv(65536):
                        connection.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def calls(store: StateStore) -> list[Callable[[], object]]:
    return [
        lambda: store.entries("s"),
        lambda: store.put("s", {"a": None}),
        lambda: store.claim("a", [Claim(account="x", spent=1)]),
        lambda: store.append("log", ["1"]),
        lambda: store.read("log"),
        lambda: store.trim("log", keep=1),
    ]


def test_a_web_server_is_named_as_what_it_is_not() -> None:
    with http_server() as port, closing(RedisStore(f"redis://127.0.0.1:{port}")) as store:
        for call in calls(store):
            with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port} does not speak the protocol of Redis"):
                call()


@pytest.mark.parametrize("words", [b"\xff\xfe\x00garbage\r\n", b"ERROR\r\n", b"$4\r\n\xff\xfe\xfd\xfc\r\n"])
def test_garbage_is_no_answer_of_redis(words: bytes) -> None:
    with (
        saying(words) as port,
        closing(RedisStore(f"redis://127.0.0.1:{port}")) as store,
        pytest.raises(ConfigurationError, match="does not speak the protocol of Redis"),
    ):
        store.claim("a", [Claim(account="x", spent=1)])


def test_a_server_that_agrees_to_everything_is_no_redis() -> None:
    with (
        saying(b"+OK\r\n") as port,
        closing(RedisStore(f"redis://127.0.0.1:{port}")) as store,
        pytest.raises(ConfigurationError, match="does not speak the protocol of Redis"),
    ):
        store.claim("a", [Claim(account="x", spent=1)])


def test_tls_with_a_server_that_has_none_is_a_configuration_error() -> None:
    with (
        saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        closing(RedisStore(f"rediss://127.0.0.1:{port}")) as store,
        pytest.raises(ConfigurationError, match="no TLS connection could be made"),
    ):
        store.entries("s")


def test_keys_of_another_application_are_a_configuration_error(redis_server: RedisServer) -> None:
    with redis_server.client() as client, closing(RedisStore(redis_server.url, namespace="taken")) as store:
        client.set("taskrouter:{taken}:account:x", "something else")
        with pytest.raises(ConfigurationError, match="no other application uses keys of the namespace 'taken'"):
            store.claim("a", [Claim(account="x", spent=1)])


# outages


def test_a_server_that_is_gone_or_hangs_is_unavailable_in_time(own_redis: RedisServer) -> None:
    with closing(RedisStore(f"{own_redis.url}?timeout_s=0.3")) as store:
        use(store)
        own_redis.pause()
        for call in calls(store):
            with pytest.raises(StoreUnavailable, match="no answer in time"):
                call()
        own_redis.go_on()
        use(store)
        own_redis.kill()
        for call in calls(store):
            with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{own_redis.port} cannot be reached"):
                call()


def test_after_a_restart_the_first_call_succeeds_and_what_was_lost_comes_back_with_the_reports() -> None:
    with RedisServer() as server, closing(RedisStore(server.url)) as store:
        owners = {"a": Claim(account="x", spent=30, held=10), "b": Claim(account="x", spent=20)}
        for owner, claim in owners.items():
            store.claim(owner, [claim])
        server.kill()
        server.start()
        assert store.claim("c", [Claim(account="x", spent=0)]).others == (Total(account="x"),)
        for owner, claim in owners.items():
            assert store.claim(owner, [claim]).granted
            assert store.claim(owner, [claim]).granted, "again, which changes nothing"
        seen = store.claim("c", [Claim(account="x", spent=0)])
        assert seen.others == (Total(account="x", spent=50, held=10, owners=2),)


def test_a_server_that_keeps_its_data_has_it_after_a_restart() -> None:
    with RedisServer(keeps=True) as server, closing(RedisStore(server.url)) as store:
        use(store)
        server.kill()
        server.start()
        assert store.entries("s") == {"a": Entry(value="1")}
        assert [record.text for record in store.read("log")] == ["1"]
        assert store.claim("b", [Claim(account="x", spent=0)]).others == (Total(account="x", spent=1, owners=1),)


@pytest.mark.parametrize(
    ("command", "word"),
    [(("CONFIG", "SET", "maxmemory", "1"), "OOM"), (("REPLICAOF", "127.0.0.1", "1"), "READONLY")],
)
def test_a_server_that_cannot_write_is_unavailable(own_redis: RedisServer, command: tuple[str, ...], word: str) -> None:
    with own_redis.client() as client:
        client.execute_command(*command)
    with closing(RedisStore(own_redis.url)) as store:
        with pytest.raises(StoreUnavailable, match=f"it says {word}"):
            store.append("log", ["1"])
        with pytest.raises(StoreUnavailable, match=f"it says {word}"):
            store.claim("a", [Claim(account="x", spent=1)])


def test_a_server_that_forgot_the_scripts_is_told_again(own_redis: RedisServer) -> None:
    with closing(RedisStore(own_redis.url)) as store, own_redis.client() as client:
        use(store)
        client.script_flush()
        assert store.claim("a", [Claim(account="x", spent=2, limit=10)]).granted
        use(store)


@contextmanager
def held_up(port: int) -> Iterator[tuple[int, threading.Event]]:
    """A way to a server that withholds what its first connection sends until the event is set."""
    released = threading.Event()

    def carry(source: socket.socket, target: socket.socket, wait: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if wait and b"EVALSHA" in data:
                    released.wait(20)
                target.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:

        def serve() -> None:
            with suppress(OSError):
                for number in itertools.count():
                    near = stack.enter_context(listener.accept()[0])
                    far = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                    for way in ((near, far, number == 0), (far, near, False)):
                        threading.Thread(target=carry, args=way, daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], released
        finally:
            released.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_claim_that_was_held_up_on_its_way_does_not_undo_a_later_one(own_redis: RedisServer) -> None:
    with (
        held_up(own_redis.port) as (port, released),
        closing(RedisStore(f"redis://127.0.0.1:{port}?timeout_s=0.5")) as store,
        closing(RedisStore(own_redis.url)) as direct,
        own_redis.client() as client,
    ):
        direct.claim("other", [Claim(account="x", spent=0)])  # the script is known from now on
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            store.claim("me", [Claim(account="x", spent=10)])
        assert store.claim("me", [Claim(account="x", spent=30)]).granted
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        released.set()
        deadline_s = time.monotonic() + 20
        while client.info("commandstats")["cmdstat_evalsha"]["calls"] == before:
            assert time.monotonic() < deadline_s, "the first claim never arrives"
        seen = direct.claim("other", [Claim(account="x", spent=0)])
        assert seen.others == (Total(account="x", spent=30, owners=1),)


# upkeep


def test_what_has_expired_is_removed_from_the_server(redis_server: RedisServer) -> None:
    with closing(RedisStore(redis_server.url, namespace="upkeep")) as store, redis_server.client() as client:
        store.put("s", {f"gone {n}": Entry(value="1", expires_at_s=1.0) for n in range(50)})
        store.put("s", {"stays": Entry(value="1", expires_at_s=time.time() + 3600), "for ever": Entry(value="1")})
        assert sorted(client.hkeys("taskrouter:{upkeep}:entries:s")) == ["for ever", "stays"]
        store.claim("a", [Claim(account="x", spent=1, expires_at_s=time.time() + 3600)])
        assert 3500_000 < client.pttl("taskrouter:{upkeep}:account:x") <= 3600_000


def test_a_position_of_another_store_is_an_error(redis_server: RedisServer) -> None:
    with closing(RedisStore(redis_server.url)) as store, pytest.raises(ValueError, match="no position"):
        store.read("log", after="00000000000000000001")


# clusters


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[RedisServer, RedisServer]]:
    """Two nodes with half of the slots each."""
    options = ("--cluster-enabled", "yes", "--cluster-port")
    with (
        RedisServer(*options, str(free_port())) as first,
        RedisServer(*options, str(free_port())) as second,
        first.client() as one,
        second.client() as two,
    ):
        one.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        two.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        one.execute_command("CLUSTER", "MEET", "127.0.0.1", second.port, second._options[-1])
        deadline_s = time.monotonic() + 60
        while not (_ok(one) and _ok(two)):
            assert time.monotonic() < deadline_s, "the cluster does not come up"
            time.sleep(0.01)
        yield first, second


def _ok(client: Any) -> bool:
    return bool(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


def test_a_cluster_is_used_from_any_of_its_nodes(cluster: tuple[RedisServer, RedisServer]) -> None:
    for node in cluster:
        for namespace in ("a", "b", "c", "d"):
            with closing(RedisStore(f"{node.url}?cluster=true&namespace={namespace}")) as store:
                use(store)
                assert len(store.read("log")) == 1


def test_a_node_of_a_cluster_that_is_taken_for_a_server_alone_is_a_configuration_error(
    cluster: tuple[RedisServer, RedisServer],
) -> None:
    failures = []
    for node in cluster:
        with closing(RedisStore(f"{node.url}?namespace=a")) as store:
            try:
                use(store)
            except ConfigurationError as error:
                failures.append(str(error))
    assert len(failures) == 1
    assert "add ?cluster=true to its address" in failures[0]


def test_a_cluster_that_cannot_be_reached_is_unavailable() -> None:
    store = RedisStore(f"redis://127.0.0.1:{free_port()}?cluster=true&timeout_s=0.2")
    for call in calls(store):
        with pytest.raises(StoreUnavailable):
            call()
    store.close()
