"""Metrics are recorded behind the calls, and whoever reads them sees all that has happened."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeter
from tests.core.observability.recorder import STEP, Recorder, completion

from taskrouter.observability import behind
from taskrouter.observability import names as n
from taskrouter.observability.behind import FULL, MANY, Behind

PATIENCE_S = 60


def answer(model: str) -> Any:
    return completion()


def steps(recorder: Recorder) -> float:
    """How many steps the reader knows of."""
    return float(sum(value for _, value in recorder.points().get(n.DECISIONS, ())))


def test_whoever_reads_sees_every_step_so_far(recorder: Recorder) -> None:
    router = recorder.router()
    for expected in (1, 2, 3):
        router.run(STEP, answer)
        assert steps(recorder) == expected


def test_what_a_router_has_left_is_recorded_though_it_is_gone(recorder: Recorder) -> None:
    recorder.router().run(STEP, answer)
    gc.collect()
    assert steps(recorder) == 1


def test_routers_of_one_provider_are_recorded_together(recorder: Recorder) -> None:
    for _ in range(3):
        recorder.router().run(STEP, answer)
    assert steps(recorder) == 3


def test_the_instrument_that_tells_of_a_reader_is_never_seen(recorder: Recorder) -> None:
    recorder.router().run(STEP, answer)
    assert behind.NAME not in recorder.metrics()


def test_where_nobody_reads_a_thread_records() -> None:
    line, done = Behind(NoOpMeter("nobody")), threading.Event()
    line.drain()
    line.put(done.set)
    for _ in range(MANY):
        line.put(lambda: None)
    assert done.wait(PATIENCE_S)


class Held:
    """A job that is under way until it is let go."""

    def __init__(self, line: Behind) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        line.drain()
        line.put(self._hold)
        self._thread = threading.Thread(target=line.drain)
        self._thread.start()
        assert self.reached.wait(PATIENCE_S)

    def _hold(self) -> None:
        self.reached.set()
        assert self.go.wait(PATIENCE_S)

    def end(self) -> None:
        self.go.set()
        self._thread.join()


def test_however_many_come_only_so_many_wait() -> None:
    line, done = Behind(NoOpMeter("nobody")), [0]

    def count() -> None:
        done[0] += 1

    held = Held(line)
    for _ in range(3 * FULL):
        line.put(count)
        assert len(behind._line._jobs) <= FULL
    held.end()
    line.drain()
    assert done == [3 * FULL]


def test_a_reader_waits_for_what_another_thread_is_recording() -> None:
    line = Behind(NoOpMeter("nobody"))
    held = Held(line)
    read = threading.Event()

    def collect() -> None:
        line.drain()
        read.set()

    reader = threading.Thread(target=collect)
    reader.start()
    assert not read.is_set()
    held.end()
    reader.join()
    assert read.is_set()


def test_a_reader_is_done_though_ever_more_comes() -> None:
    line, done = Behind(NoOpMeter("nobody")), [0]
    line.drain()

    def go_on() -> None:
        done[0] += 1
        if done[0] < MANY:  # so that the test ends where a reader would not
            line.put(go_on)

    line.put(go_on)
    line.drain()
    assert done == [1]
    while done[0] < MANY:
        line.drain()


def test_what_ends_while_the_line_is_held_does_not_hang() -> None:
    """As a stream does whose garbage is collected there."""
    line, done = Behind(NoOpMeter("nobody")), threading.Event()
    line.drain()

    def leave() -> None:
        with behind._line._lock:
            for _ in range(FULL + 1):
                line.put(lambda: None)
        done.set()

    threading.Thread(target=leave, daemon=True).start()
    assert done.wait(PATIENCE_S)
    line.drain()


def test_a_reader_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "PATIENCE_S", 0.01)
    line = Behind(NoOpMeter("nobody"))
    held = Held(line)
    line.drain()
    assert not held.go.is_set()
    held.end()


def test_closing_a_router_records_what_is_due_without_a_reader() -> None:
    recorder = Recorder()
    with recorder.router() as router:
        router.run(STEP, answer)
        assert behind._line._jobs
    assert not behind._line._jobs
    recorder.shutdown()


def test_a_fork_records_nothing_of_its_parents() -> None:
    script = """
        import os
        from tests.core.observability.recorder import STEP, Recorder, completion

        recorder = Recorder()
        router = recorder.router()
        router.run(STEP, lambda model: completion())
        read, write = os.pipe()
        if os.fork() == 0:
            router.run(STEP, lambda model: completion())
            os.write(write, str([value for _, value in recorder.points()["taskrouter.decisions"]]).encode())
            os._exit(0)
        os.wait()
        print(os.read(read, 100).decode(), [value for _, value in recorder.points()["taskrouter.decisions"]])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[1] [1]", 0), done.stderr
