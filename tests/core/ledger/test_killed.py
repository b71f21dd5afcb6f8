"""A process that is killed in the middle of its work leaves a ledger that is whole."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.core.ledger.test_ledger import answer
from tests.core.sharing_workers import shared_router

from taskrouter.ledger import Ledger

WORKS = """
import sys
from tests.core.ledger.test_ledger import answer
from tests.core.sharing_workers import ask, shared_router

router = shared_router(sys.argv[1], refresh_s=0.05, health={"failures": 1, "open_s": 0.001})
while True:
    ids = [answer(router, agent="clerk") for _ in range(9)]
    ask(router, failing="first")  # breakers, too
    router.feedback(ids[0], 1.0)
    print(*ids, flush=True)
"""
KILLS = 3
ROUNDS = 40


def killed_after(url: str, rounds: int, *, before: int) -> list[list[str]]:
    """Route until so many rounds are told of and some of them are written, kill, and return all that were told of."""
    command = [sys.executable, "-c", WORKS, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        told: list[list[str]] = []
        while len(told) < rounds or not written(url, before):
            told.append(worker.stdout.readline().split())
            assert told[-1], "it ended by itself"
        worker.send_signal(signal.SIGKILL)
        rest = worker.stdout.read().splitlines(keepends=True)
    return told + [line.split() for line in rest if line.endswith("\n")]


def written(url: str, before: int) -> bool:
    """Tell whether decisions and events of the latest process are in the file."""
    with Ledger.open(url) as ledger:
        return len(list(ledger.records())) > before and {event.state for event in ledger.events()} == {"open", "closed"}


def test_after_kill_9_the_ledger_is_whole_and_lacks_at_most_its_end(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    before = 0
    for _ in range(KILLS):
        told = killed_after(url, ROUNDS, before=before)
        made = [decision_id for ids in told for decision_id in ids]
        with Ledger.open(url) as ledger:
            records = list(ledger.records())
            labels = {label.decision_id for label in ledger.labels()}
            events = list(ledger.events())
            pools = ledger.pools()
            assert not ledger.unreadable
        kept = [record.id for record in records[before:] if record.agent == "clerk"]
        assert kept
        assert kept[: len(made)] == made[: len(kept)], "from the first on, without a gap"
        assert {ids[0] for ids in told} <= labels, "what was acknowledged is there"
        assert {record.policy_version for record in records} == set(pools), "no record without its prices"
        assert {event.state for event in events} == {"open", "closed"}
        before = len(records)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with shared_router(url) as router:
        last = answer(router)
    with Ledger.open(url) as ledger:
        assert [record.id for record in ledger.records()][before:] == [last]
