"""The thread behind the calls: bounded, in order, and there again after a fork."""

from __future__ import annotations

import subprocess
import sys
import threading

from taskrouter import worker
from taskrouter.worker import Worker


def test_jobs_are_done_in_their_order() -> None:
    did: list[int] = []
    working = Worker(did.append, queued=100, name="test")
    for number in range(50):
        assert working.offer(number)
    assert working.wait(10.0)
    assert did == list(range(50))
    assert working.waiting == 0
    working.close()


def test_what_does_not_fit_is_not_taken() -> None:
    go, begun = threading.Event(), threading.Event()

    def work(job: int) -> None:
        begun.set()
        go.wait(10.0)

    working = Worker(work, queued=2, name="test")
    assert working.offer(0)
    assert begun.wait(10.0)
    assert [working.offer(number) for number in (1, 2, 3)] == [True, True, False]
    assert working.waiting == 3
    go.set()
    assert working.wait(10.0)
    working.close()
    assert not working.offer(4)


def test_an_idle_thread_ends_and_another_begins(monkeypatch) -> None:
    monkeypatch.setattr(worker, "IDLE_S", 0.01)
    did: list[threading.Thread] = []
    working: Worker[int] = Worker(lambda _: did.append(threading.current_thread()), queued=2, name="test")
    for _ in range(2):
        assert working.offer(1)
        assert working.wait(10.0)
        did[-1].join(10.0)
        assert not did[-1].is_alive()
    assert did[0] is not did[1]


def test_the_child_of_a_fork_has_a_thread_of_its_own_and_no_jobs_of_its_parents() -> None:
    code = """
import os, threading
from taskrouter.worker import Worker
go, did = threading.Event(), []
def work(job):
    go.wait(10.0)
    did.append(job)
working = Worker(work, queued=5, name="test")
working.offer("parent"); working.offer("parent")
if (child := os.fork()) == 0:
    assert working.waiting == 0
    go.set()
    assert working.offer("child") and working.wait(10.0) and did == ["child"], did
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
go.set()
assert working.wait(10.0) and did == ["parent", "parent"], did
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
