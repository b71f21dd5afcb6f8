"""What the ledger costs: time of a step's thread, bytes of a record, bytes on the disk.

    python benchmarks/ledger_overhead.py [--steps 1000] [--rounds 20]

The routers of a round take turns, step by step in blocks, so that all of them see the same machine. "Thread" is the CPU
time of the thread that makes the steps, per step, in the best round, for other programs only ever add to it; "behind"
is the CPU time of all other threads of the process, which write what the steps have left.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from taskrouter import ResponseView, Router, Step, StepContext
from taskrouter.ledger import DECISIONS
from taskrouter.outcome import Usage
from taskrouter.state.opening import open_store

ANSWER = ResponseView(
    text="Hi", finish_reason="stop", usage=Usage(input_tokens=321, output_tokens=83), model="gpt-4o-2024-08-06"
)
CONTEXT = StepContext(agent="clerk", node="summary", run_id="run-17", tenant="acme")
STEP = Step(
    messages=[{"role": "user", "content": "Summarise this report about the sales of the last quarter, please."}],
    context=CONTEXT,
)
POOLS = (2, 20)


def router(models: int, state: dict[str, Any]) -> Router:
    """A pool of two models of the catalogue and others of our own, whose calls cost nothing but our own time."""
    others = [
        {"id": f"house/model-{number}", "input_usd_per_million": 0.37 * number + 1, "output_usd_per_million": 4.1}
        for number in range(models - 2)
    ]
    pool = [{"id": "gpt-4o"}, {"id": "gpt-4o-mini"}, *others]
    return Router.from_config({"router": {"incumbent": "gpt-4o"}, "models": pool, "state": state})


def run(one: Router, steps: int) -> tuple[float, float]:
    """Make steps; return the seconds of this thread and of the whole process."""
    thread_s, process_s = time.thread_time(), time.process_time()
    for _ in range(steps):
        one.run(STEP, lambda _: ANSWER, lambda native: native)
    return time.thread_time() - thread_s, time.process_time() - process_s


def measured(models: int, steps: int, rounds: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Return the microseconds per step, of the step's thread and behind it, for each kind of state."""
    file = f"sqlite:///{folder}/state-{models}.db"
    bare = f"sqlite:///{folder}/bare-{models}.db"
    states: dict[str, dict[str, Any]] = {
        "memory, no ledger": {"decisions": 0},
        "memory": {},
        "sqlite, no ledger": {"url": bare, "decisions": 0},
        "sqlite": {"url": file},
    }
    routers = {name: router(models, state) for name, state in states.items()}
    spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for each in routers.values():
        run(each, 200)
    for _ in range(rounds):
        for name, each in routers.items():
            thread_s, process_s = run(each, steps)
            spent[name].append((thread_s / steps * 1e6, (process_s - thread_s) / steps * 1e6))
            if "no ledger" not in name:
                began_s = time.process_time()
                each.ledger.later(None, limit=1)  # writes what is left over: it is of this round
                behind_us = (time.process_time() - began_s) / steps * 1e6 if name != "memory" else 0.0
                spent[name][-1] = (spent[name][-1][0], spent[name][-1][1] + behind_us)
    for each in routers.values():
        each.close()
    return {
        name: (min(thread for thread, _ in each), statistics.median(behind for _, behind in each))
        for name, each in spent.items()
    }


def sizes(models: int) -> tuple[float, float]:
    """Return the mean bytes of a record, and the bytes on the disk for each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        with router(models, {"url": f"sqlite:///{path}"}) as one:
            run(one, 3000)
        with closing(open_store(f"sqlite:///{path}", read_only=True)) as store:
            texts = [record.text for record in store.read(DECISIONS, limit=3000)]
        return statistics.mean(map(len, texts)), path.stat().st_size / len(texts)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    print(f"{'models':>6}  {'state':<18} {'thread us':>9} {'ledger us':>9} {'ratio':>6} {'behind us':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for models in POOLS:
            found = measured(models, given.steps, given.rounds, Path(folder))
            for name, (thread_us, behind_us) in found.items():
                without_us, _ = found[f"{name.removesuffix(', no ledger')}, no ledger"]
                more_us, ratio = thread_us - without_us, thread_us / without_us
                print(f"{models:>6}  {name:<18} {thread_us:>9.1f} {more_us:>9.1f} {ratio:>6.2f} {behind_us:>9.1f}")
    for models in POOLS:
        text, disk = sizes(models)
        print(f"{models} models: a record has {text:.0f} bytes, and takes {disk:.0f} on the disk")


if __name__ == "__main__":
    main()
