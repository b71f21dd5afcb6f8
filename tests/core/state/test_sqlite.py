"""The SQLite store's own business: the file, its versions, its transactions."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from taskrouter.errors import ConfigurationError, StoreUnavailable
from taskrouter.state import sqlite_schema
from taskrouter.state.sqlite import SQLiteStore
from taskrouter.state.sqlite_file import StateFile
from taskrouter.state.sqlite_writer import Writer
from taskrouter.state.store import Claim, Entry, Total


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def writer(file: Path) -> Iterator[Writer]:
    made = Writer(StateFile(file, timeout_s=5), timeout_s=10, sweep_s=60, clock=time.time)
    yield made
    made.close()


def version(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def indexes(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}


# versions


def test_a_file_of_version_1_is_brought_up_to_date_with_all_that_is_in_it(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        for statement in sqlite_schema.STEPS[0]:
            old.execute(statement)
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO entries VALUES ('s', 'a', '1', NULL)")
        old.execute("INSERT INTO accounts VALUES ('x', 5, 1, 1, NULL)")
        old.execute("INSERT INTO parts VALUES ('x', 'a', 5, 1)")
        old.execute("INSERT INTO records (log, at_s, text) VALUES ('log', 1.0, 'old')")
    assert not indexes(file) & {"entries_by_expiry", "accounts_by_expiry"}
    with closing(SQLiteStore(file)) as store:
        store.append("log", ["new"])
        assert store.entries("s") == {"a": Entry(value="1")}
        seen = store.claim("b", [Claim(account="x", spent=0)])
        assert seen.others == (Total(account="x", spent=5, held=1, owners=1),)
        assert [record.text for record in store.read("log")] == ["old", "new"]
    assert version(file) == len(sqlite_schema.STEPS) == 2
    assert indexes(file) >= {"entries_by_expiry", "accounts_by_expiry"}


def test_a_step_that_fails_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SQLiteStore(file).close()
    monkeypatch.setattr(
        sqlite_schema, "STEPS", (*sqlite_schema.STEPS, ("CREATE TABLE news (a)", "ALTER TABLE nowhere ADD b"))
    )
    with pytest.raises(StoreUnavailable, match="no such table: nowhere"):
        SQLiteStore(file)
    monkeypatch.undo()
    SQLiteStore(file).close()
    assert version(file) == 2


def test_a_file_of_a_newer_version_is_refused_and_left_alone(file: Path) -> None:
    SQLiteStore(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(ConfigurationError, match=r"schema version 7.*versions up to 2.*upgrade taskrouter"):
        SQLiteStore(file)
    assert version(file) == 7


# what is no state file


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.write_text("# notes\n" * 500, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"state\.db is no SQLite database"):
        SQLiteStore(file)
    assert file.read_text(encoding="utf-8").startswith("# notes")


def test_a_database_of_another_application_is_refused(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE customers (name)")
    with pytest.raises(ConfigurationError, match="another application"):
        SQLiteStore(file)


def test_a_missing_folder_and_a_folder_instead_of_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere does not exist: make it"):
        SQLiteStore(tmp_path / "nowhere" / "state.db")
    with pytest.raises(ConfigurationError, match="is a folder"):
        SQLiteStore(tmp_path)


# outages


def test_a_locked_file_is_unavailable_in_time_and_works_again_afterwards(file: Path) -> None:
    with (
        closing(SQLiteStore(file, timeout_s=0.2)) as store,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"state\.db"):
            store.append("log", ["1"])
        with pytest.raises(StoreUnavailable):
            store.claim("a", [Claim(account="x", spent=1)])
        assert list(store.read("log")) == []
        other.execute("ROLLBACK")
        store.append("log", ["2"])
        assert [record.text for record in store.read("log")] == ["2"]
        assert store.claim("b", [Claim(account="x", spent=0)]).others == (Total(account="x"),)


FULL_DISK = """
import resource, sys
from pathlib import Path
from taskrouter.errors import StoreUnavailable
from taskrouter.state.sqlite import SQLiteStore

store = SQLiteStore(sys.argv[1])
store.append("log", ["before"])
size = Path(sys.argv[1] + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, resource.RLIM_INFINITY))
try:
    store.append("log", ["x" * 100_000])
except StoreUnavailable as error:
    print(error)
print([record.text for record in store.read("log")])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.append("log", ["after"])
print([record.text for record in store.read("log")])
"""


def test_a_full_disk_is_unavailable_and_nothing_is_half_written(file: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    failed, then, afterwards = done.stdout.splitlines()
    assert "cannot be used at the moment" in failed
    assert then == "['before']"
    assert afterwards == "['before', 'after']"


def test_a_closed_store_is_unavailable(file: Path) -> None:
    store = SQLiteStore(file)
    store.close()
    with pytest.raises(StoreUnavailable, match="has been closed"):
        store.put("s", {"a": None})
    with pytest.raises(StoreUnavailable, match="has been closed"):
        store.entries("s")


def test_a_store_that_nobody_holds_any_more_lets_go_of_its_thread(file: Path) -> None:
    before = set(threading.enumerate())
    store = SQLiteStore(file)
    store.append("log", ["1"])
    (thread,) = set(threading.enumerate()) - before
    del store
    thread.join(20)
    assert not thread.is_alive()


# transactions


def test_what_waits_at_the_same_moment_is_one_transaction(writer: Writer) -> None:
    seen: list[str] = []
    entered, released = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(seen.append)
        entered.set()
        released.wait(20)

    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(writer.write, hold)
        assert entered.wait(20)
        rest = [pool.submit(writer.write, lambda connection: threading.get_ident(), durable=True) for _ in range(20)]
        while writer._queue.qsize() < 20:
            time.sleep(0.001)
        released.set()
        first.result(20)
        assert len({future.result(20) for future in rest}) == 1, "one thread writes"
    assert seen.count("BEGIN IMMEDIATE") == 1, "that of all who waited; the first one's came before the trace"
    assert seen.count("COMMIT") == 2


def test_only_log_records_wait_for_the_disk(writer: Writer) -> None:
    def mode(connection: sqlite3.Connection) -> object:
        return connection.execute("PRAGMA synchronous").fetchone()[0]

    normal, full = 1, 2
    assert writer.write(mode) == normal
    assert writer.write(mode, durable=True) == full
    assert writer.write(mode) == normal


def test_an_error_of_one_caller_is_his_alone(file: Path) -> None:
    with closing(SQLiteStore(file)) as store:
        with pytest.raises(UnicodeEncodeError):
            store.append("log", ["fine", "\ud800"])
        store.append("log", ["next"])
        assert [record.text for record in store.read("log")] == ["next"]


def test_a_caller_who_gave_up_before_his_turn_writes_nothing(file: Path) -> None:
    writer = Writer(StateFile(file, timeout_s=5), timeout_s=0.05, sweep_s=60, clock=time.time)
    entered, released = threading.Event(), threading.Event()
    wrote: list[int] = []

    def hold(connection: sqlite3.Connection) -> None:
        entered.set()
        released.wait(20)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(writer.write, hold)
        assert entered.wait(20)
        with pytest.raises(StoreUnavailable, match=r"not written within 0\.05 s"):
            writer.write(lambda connection: wrote.append(1))
        assert isinstance(first.exception(20), StoreUnavailable)
        released.set()
        writer.close()
    assert wrote == []


def test_what_has_expired_is_removed_from_the_file(file: Path) -> None:
    with closing(SQLiteStore(file, sweep_s=0)) as store:
        store.put("s", {"gone": Entry(value="1", expires_at_s=1.0), "stays": Entry(value="1")})
        store.claim("a", [Claim(account="gone", spent=1, expires_at_s=1.0), Claim(account="stays", spent=1)])
        store.put("s", {"other": None})
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM entries").fetchall() == [("stays",)]
        assert connection.execute("SELECT account FROM accounts").fetchall() == [("stays",)]
        assert connection.execute("SELECT account FROM parts").fetchall() == [("stays",)]


def test_a_position_of_another_store_is_an_error(file: Path) -> None:
    with closing(SQLiteStore(file)) as store, pytest.raises(ValueError, match="no position"):
        store.read("log", after="1700000000000-0")


HAMMERING = """
import sys
from taskrouter.state.sqlite import SQLiteStore

store = SQLiteStore(sys.argv[1])
store.append("hammer", ["first"])
print("ready", flush=True)
number = 0
while True:
    store.append("hammer", [str(number)] * 20)
    number += 1
"""


def test_a_process_that_writes_without_a_pause_does_not_shut_out_the_others(file: Path) -> None:
    command = [sys.executable, "-c", HAMMERING, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hammer, closing(SQLiteStore(file)) as store:
        assert hammer.stdout is not None
        assert hammer.stdout.readline() == "ready\n"
        for number in range(100):
            store.append("log", [str(number)])
        hammer.kill()
        assert [record.text for record in store.read("log")] == [str(number) for number in range(100)]
        assert store.read("hammer") != ()
