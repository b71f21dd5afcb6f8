"""Real processes that share a store."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from tests.core.state.workers import spend_all, write_log

from taskrouter.state.opening import open_store
from taskrouter.state.store import Claim, Total

PROCESSES = 4


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> str:
    return f"sqlite:///{tmp_path}/state.db" if request.param == "sqlite" else redis_url


def test_processes_that_start_on_a_new_store_keep_the_limit_and_lose_no_record(url: str) -> None:
    names = [f"process {number}" for number in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        spent = [pool.submit(spend_all, url, name, "money", 500) for name in names]
        written = [pool.submit(write_log, url, "log", name, 25) for name in names]
        amounts = [future.result(120) for future in spent]
        assert [future.result(120) for future in written] == [25] * PROCESSES
    store = open_store(url)
    assert sum(amounts) == 500
    seen = store.claim("nobody", [Claim(account="money", spent=0)])
    assert seen.others == (Total(account="money", spent=500, owners=PROCESSES),)
    texts = [record.text for record in store.read("log")]
    for name in names:
        assert [text for text in texts if text.startswith(f"{name} ")] == [f"{name} {n}" for n in range(25)]
    assert len(texts) == 25 * PROCESSES
    store.close()


FORKING = """
import os, sys, threading
from taskrouter.state.opening import open_store
from taskrouter.state.store import Claim, Entry

store = open_store(sys.argv[1])
store.append("log", ["parent"])
store.entries("s")
done = threading.Event()
written = 0

def busy():
    global written
    while not done.is_set():
        store.claim("parent", [Claim(account="x", spent=written)])
        store.append("log", [f"parent {written}"])
        written += 1

thread = threading.Thread(target=busy)
thread.start()
children = []
for number in range(6):
    child = os.fork()
    if child == 0:
        store.append("log", [f"child {number}"])
        store.claim(f"child {number}", [Claim(account="x", spent=1000)])
        store.put("s", {f"child {number}": Entry(value="1")})
        assert f"child {number}" in store.entries("s")
        if number % 2:
            os._exit(0)
        sys.exit(0)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
done.set()
thread.join()
texts = [record.text for record in store.read("log", limit=100_000)]
assert codes == [0] * 6, codes
assert texts.count("parent") == 1
assert [t for t in texts if t.startswith("parent ")] == [f"parent {n}" for n in range(written)]
assert sorted(t for t in texts if t.startswith("child")) == [f"child {n}" for n in range(6)]
(total,) = store.claim("parent", [Claim(account="x", spent=0)]).others
assert (total.spent, total.owners) == (6000, 6), total
print("fine")
"""


def test_children_of_a_fork_use_the_store_while_the_parent_writes(url: str) -> None:
    done = run(FORKING, url)
    assert done == "fine"


LEAVING = """
import sys, threading, time
from taskrouter.state.opening import open_store

store = open_store(sys.argv[1])
acknowledged = threading.Event()

def busy():
    number = 0
    while True:
        store.append("log", [str(number)])
        number += 1
        if number == 5:
            acknowledged.set()

threading.Thread(target=busy, daemon=True).start()
acknowledged.wait()
"""


def test_a_program_that_ends_without_closing_the_store_keeps_what_was_acknowledged(url: str) -> None:
    run(LEAVING, url)
    store = open_store(url)
    texts = [record.text for record in store.read("log", limit=100_000)]
    assert len(texts) >= 5
    assert texts == [str(number) for number in range(len(texts))]
    store.close()


def run(program: str, url: str) -> str:
    """Run a program in an interpreter of its own; a fork beside threads is deprecated there, and meant."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
