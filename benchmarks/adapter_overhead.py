"""What a framework's routed model costs beside the same call to the candidate itself, interleaved in one process.

    python benchmarks/adapter_overhead.py --framework llamaindex [--rounds 300] [--json]

The provider is `canned_server.py`, in a process of its own: it answers at once with the same bytes. The step has about
500 tokens. In every round each way of calling is made once with the candidate and once with the routed model, in random
order; what is added is the median of the differences within the rounds, so that the drift of a noisy machine cancels
out. Tracing is on: a sampled OpenTelemetry SDK span for the step and one for the call, exported in batches to memory. A
stream has 103 chunks. The floor is the same without HTTP and without tracing: a candidate that answers in this process,
and a step of two words. What an adapter hangs into its framework when it is imported is taken off for the direct calls:
they are as an application without the adapter makes them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.adapters.common import Framework, Way, Ways
from benchmarks.canned_server import served
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TARGET_US = 300.0
"""What may be added to a call over HTTP, traced."""
WARM_UP = 30
FRAMEWORKS = ("langchain", "llamaindex", "autogen", "agent_framework")


def measured(
    ways: list[Way],
    rounds: int,
    timed: Callable[[Callable[[], Any]], float],
    attach: Callable[[bool], None],
) -> dict[str, dict[str, float]]:
    """Return, for each way, the median seconds of both calls, and the median of what is added in a round."""

    def once(way: Way, which: int) -> float:
        attach(which == 1)
        return timed(way.routed if which else way.direct)

    seconds: dict[str, list[tuple[float, float]]] = {way.name: [] for way in ways}
    calls = [(way, which) for way in ways for which in (0, 1)]
    for number in range(WARM_UP + rounds):
        random.shuffle(calls)
        took = {(way.name, which): once(way, which) for way, which in calls}
        if number >= WARM_UP:
            for way in ways:
                seconds[way.name].append((took[way.name, 0], took[way.name, 1]))
    return {name: _summary(pairs) for name, pairs in seconds.items()}


def _summary(pairs: list[tuple[float, float]]) -> dict[str, float]:
    return {
        "direct_us": statistics.median(direct for direct, _ in pairs) * 1e6,
        "routed_us": statistics.median(routed for _, routed in pairs) * 1e6,
        "added_us": statistics.median(routed - direct for direct, routed in pairs) * 1e6,
    }


def _timed(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def run(framework: Framework, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure over HTTP, with tracing and without, and the floor."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    for traced in (True, False):
        provider = TracerProvider() if traced else None
        if provider is not None:
            provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
        with served() as base_url:
            results["traced" if traced else "not traced"] = both(
                framework, framework.over_http(base_url, provider), rounds
            )
        if provider is not None:
            provider.shutdown()
    results["floor"] = both(framework, framework.floor(), rounds * 3)
    return results


def both(framework: Framework, ways: Ways, rounds: int) -> dict[str, dict[str, float]]:
    """Measure the synchronous ways, then the others in one event loop."""
    with asyncio.Runner() as runner:

        def in_loop(call: Callable[[], Awaitable[Any]]) -> float:
            async def timed() -> float:
                began = time.perf_counter()
                await call()
                return time.perf_counter() - began

            return runner.run(timed())

        found = measured(ways.sync, rounds, _timed, framework.attach)
        return found | measured(ways.asynchronous, rounds, in_loop, framework.attach)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--framework", choices=FRAMEWORKS, default="langchain")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    framework: Framework = import_module(f"benchmarks.adapters.{arguments.framework}").FRAMEWORK
    results = run(framework, arguments.rounds)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    targets = {"traced": f" (target: {TARGET_US:.0f} µs added)"}
    if framework.floor_target_us is not None:
        targets["floor"] = f" (target: {framework.floor_target_us:.0f} µs added)"
    for kind, ways in results.items():
        print(f"{arguments.framework}, {kind}{targets.get(kind, '')}")
        for name, found in ways.items():
            shown = "  ".join(f"{key.removesuffix('_us')} {value:6.0f} µs" for key, value in found.items())
            print(f"  {name:<16} {shown}  {found['routed_us'] / found['direct_us']:.2f}x")


if __name__ == "__main__":
    main()
