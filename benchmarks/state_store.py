"""How long a store takes for each of its operations, all stores in the same run.

python benchmarks/state_store.py [--rounds 2000] [--owners 20] [--redis URL] [--json]

Without --redis, a redis-server is started on loopback for the time of the run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from taskrouter.errors import StoreUnavailable
from taskrouter.state.memory import MemoryStore
from taskrouter.state.redis import RedisStore
from taskrouter.state.resilient import ResilientStore
from taskrouter.state.sqlite import SQLiteStore
from taskrouter.state.store import Claim, Entry, StateStore

ENTRIES = 20
RECORD = "x" * 500


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Run a server that keeps nothing, and yield its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def wait_for(store: StateStore) -> None:
    """Wait until a server that was just started answers."""
    for _ in range(1000):
        try:
            store.entries("s")
        except StoreUnavailable:
            time.sleep(0.01)
        else:
            return
    raise StoreUnavailable("the server does not answer")


def operations(store: StateStore, owners: int) -> dict[str, Callable[[int], object]]:
    """Return one call of each kind, on a store in which others have left their parts."""
    for number in range(owners):
        store.claim(f"owner {number}", [Claim(account=a, spent=1, limit=10**12) for a in ("usd", "tokens")])
    store.put("health", {f"model {number}": Entry(value="closed") for number in range(ENTRIES)})
    return {
        "claim": lambda n: store.claim("me", [Claim(account=a, spent=n, limit=10**12) for a in ("usd", "tokens")]),
        "put": lambda n: store.put("health", {"model 0": Entry(value=str(n), expires_at_s=2e9)}),
        "entries": lambda _: store.entries("health"),
        "append": lambda _: store.append("log", [RECORD]),
        "append 100": lambda _: store.append("log", [RECORD] * 100),
    }


def measure(call: Callable[[int], object], rounds: int) -> tuple[float, float]:
    """Return median and 99th percentile in microseconds."""
    for number in range(max(1, rounds // 10)):
        call(number)
    times = []
    for number in range(rounds):
        started_ns = time.perf_counter_ns()
        call(number)
        times.append((time.perf_counter_ns() - started_ns) / 1000)
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--owners", type=int, default=20)
    parser.add_argument("--redis")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, tuple[float, float]]] = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = options.redis or stack.enter_context(redis_server())
        wait_for(RedisStore(url))
        stores: dict[str, StateStore] = {
            "memory": MemoryStore(),
            "sqlite": SQLiteStore(Path(folder) / "state.db"),
            "redis": RedisStore(url, namespace="benchmark"),
            "resilient(redis)": ResilientStore(RedisStore(url, namespace="benchmark-resilient")),
        }
        for name, store in stores.items():
            stack.callback(store.close)
            calls = operations(store, options.owners)
            found[name] = {
                kind: measure(call, max(100, options.rounds // (10 if kind.startswith("append ") else 1)))
                for kind, call in calls.items()
            }
    if options.json:
        print(json.dumps({"p50_and_p99_us": found}, indent=2))
        return
    kinds = list(next(iter(found.values())))
    print(f"{'p50 / p99 µs':<18}" + "".join(f"{kind:>18}" for kind in kinds))
    for name, row in found.items():
        print(f"{name:<18}" + "".join(f"{row[kind][0]:>10,.1f} /{row[kind][1]:>6,.0f}" for kind in kinds))


if __name__ == "__main__":
    main()
