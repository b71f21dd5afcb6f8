"""A ledger that is damaged, old, or on a disk that is full or cannot be written: calls and readers go on."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.core.ledger.test_ledger import answer
from tests.core.sharing_workers import shared_router

from taskrouter import ConfigurationError
from taskrouter.errors import StoreUnavailable
from taskrouter.ledger import DECISIONS, EVENTS, Ledger, LedgerLookup
from taskrouter.state import sqlite_schema
from taskrouter.state.opening import open_store
from taskrouter.state.sqlite import SQLiteStore

GOOD = "dec_00000000000000aa"


def row(**changes: Any) -> dict[str, Any]:
    """A record in the shape that the ledger had before it kept calls and explanations."""
    plan = {"kind": "single", "models": ["small"]}
    known = {
        "v": 1,
        "id": GOOD,
        "at_s": 1_700_000_000.0,
        "identity": "clerk/",
        "agent": "clerk",
        "node": None,
        "policy": "safe",
        "policy_version": "abc",
        "reason": "incumbent",
        "rule": None,
        "profile": {"task_type": "chat", "confidence": 0.5, "input_tokens": 10, "output_tokens": 20},
        "tools": False,
        "comparable": None,
        "several": True,
        "use": None,
        "out": {},
        "incumbent": "small",
        "plan": plan,
        "propensity": 0.5,
        "cost_usd": 0.001,
        "loss": {"mean": 0.0, "low": -0.1, "high": 0.1},
        "alternatives": [{"plan": {**plan, "models": ["large"]}, "propensity": 0.5, "cost_usd": 0.01}],
        "outcome": {
            "status": "ok",
            "model": "small",
            "cost_usd": 0.002,
            "latency_s": 0.5,
            "check": "none",
            "calls": [{"model": "small", "role": "primary", "status": "ok", "cost_usd": 0.002}],
            "proposals": [],
        },
    }
    return {**known, **changes}


BAD = "dec_00000000000000cc"
DAMAGED = {
    "nonsense": "\x00\x01 what is this \ufffd",
    "nothing": "",
    "another version": json.dumps(row(id=BAD, v=2)),
    "no version": json.dumps({key: value for key, value in row(id=BAD).items() if key != "v"}),
    "no outcome": json.dumps({key: value for key, value in row(id=BAD).items() if key != "outcome"}),
    "not a number": json.dumps(row(id=BAD, cost_usd=float("nan"))),
    "infinite": json.dumps(row(id=BAD, cost_usd=float("inf"))),
    "too large a number": json.dumps(row(id=BAD)).replace("0.001", "1e999"),
    "a number of 5,000 digits": json.dumps(row(id=BAD)).replace("0.001", "9" * 5000),
    "truncated": json.dumps(row(id=BAD))[:200],
    "1 MB of nothing": "[" * 1_000_000,
    "1 MB of a name": json.dumps(row(id="dec_" + "a" * 1_000_000)),
    "a list": "[]",
    "another shape": json.dumps(row(id=BAD, plan="small")),
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db"


def listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def put(url: str, *texts: str, log: str = DECISIONS) -> None:
    with closing(open_store(url)) as store:
        store.append(log, texts)


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_row_costs_itself_and_is_counted_and_said_once(
    kind: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(url, json.dumps(row()), DAMAGED[kind], DAMAGED[kind], json.dumps(row(id="dec_00000000000000bb")))
    with Ledger.open(url) as ledger:
        assert [record.id for record in ledger.records()] == [GOOD, "dec_00000000000000bb"]
        assert ledger.unreadable == {DECISIONS: 2}
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "the ledger has rows in 'decisions' that cannot be read; they are left out, and counted"
    ]
    with closing(open_store(url)) as store:
        lookup = LedgerLookup(store, refresh_s=1.0)
        assert lookup.find(GOOD) is not None
        assert lookup.find("dec_00000000000000bb") is not None
        assert lookup.find(BAD) is None


def test_half_a_character_in_a_name_hurts_nobody_who_prints_it(url: str) -> None:
    put(url, json.dumps(row(tenant="acme \ud83d", agent="\U0001f600")))
    with Ledger.open(url) as ledger:
        (record,) = ledger.records()
    assert (record.tenant, record.agent) == ("acme ?", "\U0001f600")


def test_a_large_row_that_says_what_a_record_says_is_one(url: str) -> None:
    put(url, json.dumps(row(something_new="x" * 1_000_000)))
    with Ledger.open(url) as ledger:
        assert [record.id for record in ledger.records()] == [GOOD]
        assert not ledger.unreadable


def test_damaged_labels_events_and_pools_are_counted_where_they_are(url: str) -> None:
    label = json.dumps({"decision_id": GOOD, "score": 1.0, "source": "user", "at_s": 1.0})
    put(url, "x", label, label.replace("1.0", "NaN", 1), log="feedback")
    put(url, '{"kind":"breaker","at_s":1.0}', '{"kind":"earthquake","at_s":1.0}', log=EVENTS)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("INSERT INTO entries VALUES ('pools', 'v1', 'x', NULL), ('pools', 'v2', '{}', NULL)")
    with Ledger.open(url) as ledger:
        assert [found.score for found in ledger.labels()] == [1.0]
        assert [found.kind for found in ledger.events()] == ["breaker"]
        assert ledger.pools() == {}
        assert ledger.unreadable == {"feedback": 2, EVENTS: 1, "pools": 2}


def test_bytes_that_are_no_text_in_a_damaged_file_cost_their_row(url: str) -> None:
    put(url, json.dumps(row()))
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        insert = "INSERT INTO records (log, at_s, text) VALUES ('decisions', ?, ?)"
        connection.execute(insert, (1.0, b"\xff\xfe\x00\x80"))
        connection.execute("INSERT INTO records (log, at_s, text) VALUES ('decisions', 1.0, CAST(x'ff80' AS TEXT))")
        connection.execute(insert, ("yesterday", json.dumps(row(id="dec_00000000000000bb"))))
    with Ledger.open(url) as ledger:
        assert [record.id for record in ledger.records()] == [GOOD, "dec_00000000000000bb"]
        assert ledger.unreadable == {DECISIONS: 2}


def test_a_router_goes_on_with_a_ledger_that_has_damaged_rows(url: str) -> None:
    put(url, *DAMAGED.values())
    put(url, "nonsense", log="feedback")
    with shared_router(url) as router:
        decision_id = answer(router)
        router.feedback(decision_id, 1.0)
        assert [record.id for record in router.ledger.records()] == [decision_id]


def test_a_record_of_the_previous_shape_still_reads(url: str) -> None:
    put(url, json.dumps(row()))
    with Ledger.open(url) as ledger:
        (record,) = ledger.records()
        assert not ledger.unreadable
    assert record.answered
    assert record.remembered.costs_usd == {"small": 0.002}
    assert (record.tenant, record.run, record.trace, record.outcome.calls[0].taken) == (None, None, None, False)
    assert record.explained.ranking == ()


# --- the file ---------------------------------------------------------------------------------------------------------


def damaged_file(url: str) -> Path:
    """A file whose pages, but for the first, are overwritten."""
    put(url, *[json.dumps(row())] * 200)
    path = Path(url.removeprefix("sqlite:///"))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    return path


def test_a_corrupt_file_is_named_and_neither_mended_nor_emptied(url: str) -> None:
    path = damaged_file(url)
    before = path.read_bytes()
    with Ledger.open(url) as ledger, pytest.raises(StoreUnavailable, match=r"state\.db .* is damaged: move it away"):
        list(ledger.records())
    assert path.read_bytes() == before


def test_an_empty_file_holds_no_ledger_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch()
    with pytest.raises(ConfigurationError, match=r"state\.db is empty: no router has kept anything in it yet"):
        Ledger.open(f"sqlite:///{path}")
    assert path.stat().st_size == 0
    assert listed(tmp_path) == ["state.db"]


def test_reading_makes_no_file_and_leaves_every_byte(url: str, tmp_path: Path) -> None:
    put(url, json.dumps(row()))
    path = tmp_path / "state.db"
    before = path.read_bytes()
    with Ledger.open(url) as ledger:
        assert len(list(ledger.records())) == 1
    assert listed(tmp_path) == ["state.db"]
    assert path.read_bytes() == before


def test_what_is_read_only_refuses_to_write(url: str, tmp_path: Path) -> None:
    put(url, "x")
    with closing(SQLiteStore(tmp_path / "state.db", read_only=True)) as store:
        with pytest.raises(StoreUnavailable, match="readonly"):
            store.append("log", ["y"])
        assert [record.text for record in store.read(DECISIONS)] == ["x"]


def test_a_file_of_version_1_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for statement in sqlite_schema.STEPS[0]:
            old.execute(statement)
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO records (log, at_s, text) VALUES ('decisions', 1.0, ?)", (json.dumps(row()),))
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert [record.id for record in ledger.records()] == [GOOD]
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


READS = """
import os, sys
from taskrouter.ledger import Ledger

if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    with Ledger.open(sys.argv[1]) as ledger:
        print([record.id for record in ledger.records()], dict(ledger.unreadable))
except Exception as error:
    print(error)
"""


def read_by_somebody_else(path: Path) -> str:
    for file in path.parent.iterdir():
        file.chmod(0o444)
    path.parent.chmod(0o555)
    command = [sys.executable, "-c", READS, f"sqlite:///{path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def test_a_report_needs_no_right_to_write(open_folder: Path) -> None:
    path = open_folder / "state.db"
    put(f"sqlite:///{path}", json.dumps(row()))
    assert read_by_somebody_else(path) == f"['{GOOD}'] {{}}"
    assert listed(open_folder) == ["state.db"]


def test_a_reader_without_the_right_to_write_sees_what_a_running_process_has_written(open_folder: Path) -> None:
    path = open_folder / "state.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.append(DECISIONS, [json.dumps(row())])
        assert (open_folder / "state.db-wal").stat().st_size > 0
        assert read_by_somebody_else(path) == f"['{GOOD}'] {{}}"


def test_a_reader_who_could_only_see_half_of_it_is_told_what_to_do(open_folder: Path) -> None:
    path = open_folder / "state.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.append(DECISIONS, [json.dumps(row())])
        folder = open_folder / "copied"
        folder.mkdir()
        for name in ("state.db", "state.db-wal"):  # and not the third, without which the second cannot be read
            (folder / name).write_bytes((open_folder / name).read_bytes())
    folder.chmod(0o755)
    said = read_by_somebody_else(folder / "state.db")
    folder.chmod(0o755)
    assert "copy it, with the -wal file beside it, into a folder that you may write to" in said


# --- the disk ---------------------------------------------------------------------------------------------------------

FULL_DISK = """
import json, logging, resource, sys
from pathlib import Path
from tests.core.ledger.test_ledger import answer
from tests.core.sharing_workers import shared_router, wait_until

class Keeping(logging.Handler):
    said = []
    def emit(self, record):
        self.said.append(record.getMessage())

logging.getLogger("taskrouter").addHandler(Keeping(logging.WARNING))
router = shared_router(sys.argv[1], refresh_s=0.05)
router._state.ledger._limit = 50
path = Path(sys.argv[1].removeprefix("sqlite:///"))
ids = [answer(router)]
wait_until(lambda: router.learning.decisions_written == 1)
size = path.with_name(path.name + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, resource.RLIM_INFINITY))
for _ in range(20):
    ids.append(answer(router))
wait_until(lambda: len(Keeping.said) == 1)
for _ in range(100):
    ids.append(answer(router))
ledger = router._state.ledger
print(json.dumps({"waiting": ledger.waiting, "dropped": ledger.dropped, "said": list(Keeping.said)}))
if sys.argv[2] == "stays full":
    router.close()
    print(json.dumps({"ids": ids, "said": Keeping.said}))
    sys.exit()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
wait_until(lambda: ledger.waiting == 0 and router._state.store.pending == 0)
router.close()
print(json.dumps({"ids": ids, "dropped": ledger.dropped, "said": Keeping.said}))
"""


def on_a_full_disk(url: str, how: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", FULL_DISK, url, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_router_that_is_closed_while_the_disk_is_full_says_what_is_lost(url: str) -> None:
    full, after = on_a_full_disk(url, "stays full")
    assert len(after["ids"]) == 121
    assert f"the sqlite store is closed while it cannot be used: {full['waiting']} decisions are lost" in after["said"]
    with Ledger.open(url) as ledger:
        kept = [record.id for record in ledger.records()]
    assert kept == after["ids"][: len(kept)]
    assert not ledger.unreadable


def test_on_a_full_disk_calls_go_on_and_records_wait_then_are_dropped_and_it_is_said_what_to_do(
    url: str, tmp_path: Path
) -> None:
    full, after = on_a_full_disk(url, "for a while")
    assert len(after["ids"]) == 121
    assert full["waiting"] <= 50
    assert full["dropped"] > 0
    away, dropped = full["said"]
    assert str(tmp_path / "state.db") in away
    assert away.endswith("is the disk full? Free some space, or name a file elsewhere as `[state] url`")
    assert dropped == "more than 50 decisions wait for the ledger; further ones are dropped"
    assert after["said"] == full["said"]
    with Ledger.open(url) as ledger:
        kept = {record.id for record in ledger.records()}
    assert not ledger.unreadable
    assert kept <= set(after["ids"])
    assert len(kept) == len(after["ids"]) - after["dropped"]
