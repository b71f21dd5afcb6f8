"""Searches texts for patterns that may take for ever.

`re` has no time limit, and it holds the interpreter's lock while it searches, so neither another thread nor a signal
could end `(a+)+$`. Which patterns are harmless cannot be told from their looks, and a limit on the text does not help
against exponential ones. So patterns are searched in a process of their own, which is ended when time is up; it is
started once, and costs a millisecond or two per search after that.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future, wait

from taskrouter.grading.threads import in_thread

_WORKER = """
import json, re, sys
sys.stdout.write("ready\\n")
sys.stdout.flush()
for line in sys.stdin:
    pattern, text, whole = json.loads(line)
    found = re.fullmatch(pattern, text.strip()) if whole else re.search(pattern, text)
    sys.stdout.write("1\\n" if found else "0\\n")
    sys.stdout.flush()
"""

_START_S = 30.0
"""How long the process may take to start, on a machine with much else to do."""


class SearchProcess:
    """A process that searches texts, one at a time; safe for threads, and started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def found(self, pattern: str, text: str, *, whole: bool, timeout_s: float) -> bool | None:
        """Tell whether a pattern is found; None when time is up, or the process has died."""
        with self._lock:
            process = self._running()
            request = json.dumps([pattern, text, whole]) + "\n"
            answer = in_thread(lambda: _ask(process, request))
            wait([answer], timeout_s)
            said = answer.result().strip() if answer.done() and answer.exception() is None else ""
            if said not in ("0", "1"):
                self._end(answer)
                return None
            return said == "1"

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[str]:
        process = self._process
        if process is not None and self._owner == os.getpid() and process.poll() is None:
            return process
        self._end()
        self._process = started = subprocess.Popen(  # noqa: S603 - our own code, no argument of anybody's
            [sys.executable, "-I", "-S", "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",  # `json.dumps` escapes everything else
        )
        self._owner = os.getpid()
        wait([in_thread(lambda: _line(started))], _START_S)  # its start is no part of anybody's time limit
        return started

    def _end(self, asking: Future[str] | None = None) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        if asking is not None:
            wait([asking], 5.0)  # it may still hold a pipe
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not yet read by the process
                    continue


def _ask(process: subprocess.Popen[str], request: str) -> str:
    if process.stdin is None:
        raise OSError("no pipe")
    process.stdin.write(request)
    process.stdin.flush()
    return _line(process)


def _line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise OSError("no pipe")
    return process.stdout.readline()


SEARCHES = SearchProcess()
"""The one of this program."""
atexit.register(SEARCHES.close)
