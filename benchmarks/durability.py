"""What survives `kill -9`: a writer is killed in the middle of its work, again and again.

A child appends log records and claims amounts to one SQLite file from several threads, and says over a pipe what was
acknowledged. It is killed at a random moment. Then the file is opened again: every acknowledged record and amount must
be there, and SQLite must find the file whole. The exit code is 1 when something is missing.

python benchmarks/durability.py [--kills 20] [--appends 1000] [--threads 4] [--seed 0]
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from taskrouter.state.sqlite import SQLiteStore
from taskrouter.state.store import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one kill left behind."""

    acknowledged: int
    found: int
    lost: int
    amounts_lost: int
    integrity: str

    @property
    def fine(self) -> bool:
        """Whether nothing that was acknowledged is missing."""
        return not self.lost and not self.amounts_lost and self.integrity == "ok"


def write(file: str, pipe: int, run: int, appends: int, threads: int) -> None:
    """Append and claim until all is written, and tell each acknowledgement in a line of its own."""
    store = SQLiteStore(file)
    numbers = itertools.count()

    def work(thread: int) -> None:
        while (number := next(numbers)) < appends:
            text = f"{run}.{number}"
            store.append("log", [text])
            os.write(pipe, f"record {text}\n".encode())
            store.claim(f"{run}.{thread}", [Claim(account="money", spent=number)])
            os.write(pipe, f"amount {run}.{thread} {number}\n".encode())

    working = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    os.close(pipe)


def kill_a_writer(file: Path, *, run: int, appends: int, threads: int, after: int) -> Verdict:
    """Start a writer, kill it after so many acknowledgements, and look at what is left."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    arguments = [str(writer), str(file), str(run), str(appends), str(threads)]
    child = os.posix_spawn(sys.executable, [sys.executable, __file__, "--child", *arguments], os.environ)
    os.close(writer)
    lines: list[str] = []
    with os.fdopen(reader, encoding="utf-8") as said:
        for line in said:
            lines.append(line)
            if len(lines) == after:
                os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise RuntimeError(f"the writer ended by itself, with code {os.waitstatus_to_exitcode(status)}")
    return examine(file, run, [line for line in lines if line.endswith("\n")])


def examine(file: Path, run: int, lines: list[str]) -> Verdict:
    """Compare what a writer had been told with what the file holds."""
    told = [line.split() for line in lines]
    records = {fields[1] for fields in told if fields[0] == "record"}
    amounts = {fields[1]: int(fields[2]) for fields in told if fields[0] == "amount"}
    with closing(SQLiteStore(file)) as store:
        found = {record.text for record in store.read("log", limit=10**9)}
    with closing(sqlite3.connect(file)) as connection:
        (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
        spent = dict(connection.execute("SELECT owner, spent FROM parts"))
    return Verdict(
        acknowledged=len(records),
        found=sum(text.startswith(f"{run}.") for text in found),
        lost=len(records - found),
        amounts_lost=sum(spent.get(owner, -1) < amount for owner, amount in amounts.items()),
        integrity=integrity,
    )


def main() -> int:
    """Kill, examine, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--appends", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        pipe, file, run, appends, threads = options.child
        write(file, int(pipe), int(run), int(appends), int(threads))
        return 0
    rng = random.Random(options.seed)
    print(f"{'kill':>4} {'acknowledged':>13} {'found':>6} {'lost':>5} {'amounts lost':>13}  integrity")
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        for run in range(1, options.kills + 1):
            verdict = kill_a_writer(
                Path(folder) / "state.db",
                run=run,
                appends=options.appends,
                threads=options.threads,
                after=rng.randrange(1, 2 * options.appends - 2 * options.threads),
            )
            fine = fine and verdict.fine
            print(
                f"{run:>4} {verdict.acknowledged:>13} {verdict.found:>6} {verdict.lost:>5} "
                f"{verdict.amounts_lost:>13}  {verdict.integrity}"
            )
    print("nothing that was acknowledged is missing" if fine else "SOMETHING IS MISSING")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
