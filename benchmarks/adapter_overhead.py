"""What a framework's routed model costs beside the same call to the candidate itself, interleaved in one process.

    python benchmarks/adapter_overhead.py --framework langchain [--rounds 300] [--json]

The provider is `canned_server.py`, in a process of its own: it answers at once with the same bytes. The step has about
500 tokens. In every round each way of calling is made once with the candidate and once with the routed model, in random
order; what is added is the median of the differences within the rounds, so that the drift of a noisy machine cancels
out. Tracing is on: a sampled OpenTelemetry SDK span for the step and one for the call, exported in batches to memory. A
stream has 103 chunks. What an adapter hangs into its framework when it is imported is taken off for the direct calls:
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
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.canned_server import MODEL, served
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TARGET_US = 300.0
WARM_UP = 30
SYSTEM = "You are the planner of a small company's support agents. " + " ".join(
    f"Rule {i}: read what the customer says about order {i * 37}, and never promise what the policy does not allow."
    for i in range(18)
)
QUESTION = "The customer says that the invoice was charged twice. What should we ask first, and why?"


class Way(NamedTuple):
    """One way of calling, with the candidate itself and with the routed model."""

    name: str
    direct: Callable[[], Any]
    routed: Callable[[], Any]


class Framework(NamedTuple):
    """One framework's ways of calling."""

    ways: Callable[[str, TracerProvider | None], tuple[list[Way], list[Way]]]
    """Given the address and where spans go: the synchronous ways, and the asynchronous ones."""
    attach: Callable[[bool], None]
    """Put on, or take off, what the adapter has hung into its framework."""


def langchain_ways(base_url: str, provider: TracerProvider | None) -> tuple[list[Way], list[Way]]:
    """`ChatOpenAI` and `RoutedChatModel` around two of it."""
    from langchain_core.messages import HumanMessage, SystemMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    from langchain_taskrouter import RoutedChatModel
    from taskrouter import Router

    @tool
    def lookup(order: str) -> str:
        """Look up an order."""
        return order

    def candidate() -> ChatOpenAI:
        return ChatOpenAI(model=MODEL, base_url=base_url, api_key=SecretStr("any"), max_retries=0, stream_usage=True)

    price = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0, "context_tokens": 100_000}
    pool = [{"id": name, "model": MODEL, "capabilities": {"tools": True}, **price} for name in ("small", "large")]
    router = Router(pool, "large", config={"telemetry": {"enabled": provider is not None}}, tracer_provider=provider)
    direct = candidate()
    routed = RoutedChatModel({"small": candidate(), "large": candidate()}, router=router)
    with_tools = direct.bind_tools([lookup]), routed.bind_tools([lookup])
    asked = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]

    async def astream(model: Any) -> None:
        async for _ in model.astream(asked):
            pass

    return [
        Way("invoke", lambda: direct.invoke(asked), lambda: routed.invoke(asked)),
        Way("invoke, tools", lambda: with_tools[0].invoke(asked), lambda: with_tools[1].invoke(asked)),
        Way("stream", lambda: list(direct.stream(asked)), lambda: list(routed.stream(asked))),
    ], [
        Way("ainvoke", lambda: direct.ainvoke(asked), lambda: routed.ainvoke(asked)),
        Way("ainvoke, tools", lambda: with_tools[0].ainvoke(asked), lambda: with_tools[1].ainvoke(asked)),
        Way("astream", lambda: astream(direct), lambda: astream(routed)),
    ]


def langchain_attach(on: bool) -> None:
    """Put on, or take off, the callback handler by which the adapter hears of runs; all models pay for it."""
    from langchain_core.tracers.context import _configure_hooks

    from langchain_taskrouter._runs import HOOK

    _configure_hooks[:] = [hook for hook in _configure_hooks if hook[0] is not HOOK]
    if on:
        _configure_hooks.append((HOOK, True, None, None))


FRAMEWORKS: dict[str, Framework] = {"langchain": Framework(langchain_ways, langchain_attach)}


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


def run(framework: str, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure with tracing and without."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    for traced in (True, False):
        provider = TracerProvider() if traced else None
        if provider is not None:
            provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
        with served() as base_url, asyncio.Runner() as runner:

            def in_loop(call: Callable[[], Awaitable[Any]], runner: asyncio.Runner = runner) -> float:
                async def timed() -> float:
                    began = time.perf_counter()
                    await call()
                    return time.perf_counter() - began

                return runner.run(timed())

            ways, attach = FRAMEWORKS[framework]
            sync, asynchronous = ways(base_url, provider)
            found = measured(sync, rounds, _timed, attach) | measured(asynchronous, rounds, in_loop, attach)
        results["traced" if traced else "not traced"] = found
        if provider is not None:
            provider.shutdown()
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--framework", choices=list(FRAMEWORKS), default="langchain")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = run(arguments.framework, arguments.rounds)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for kind, ways in results.items():
        print(f"{arguments.framework}, {kind} (target: {TARGET_US:.0f} µs added, traced)")
        for name, found in ways.items():
            shown = "  ".join(f"{key.removesuffix('_us')} {value:6.0f} µs" for key, value in found.items())
            print(f"  {name:<16} {shown}  {found['routed_us'] / found['direct_us']:.2f}x")


if __name__ == "__main__":
    main()
