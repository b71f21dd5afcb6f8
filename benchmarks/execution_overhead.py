"""What a call through the router costs beside the same call through the bare client, interleaved in one process.

    python benchmarks/execution_overhead.py [--rounds 300] [--json]

The provider is `canned_server.py`, in a process of its own: it answers at once with the same bytes. In every round each
contender makes one call, in random order; what is added is the median of the differences within the rounds to the
client that it stands on, so that the drift of a noisy machine cancels out. Traced: a sampled OpenTelemetry SDK span
for the step and one for the call, kept by the exporter in memory. A stream has 103 chunks; what is added by one is all
that is added to the stream, divided by that. `litellm.Router` is LiteLLM's own, with a single deployment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.canned_server import CHUNKS, MODEL, served
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskrouter import Router, Step

WARM_UP = 30
CHUNKS_IN_ALL = CHUNKS + 3
TARGET_CALL_US, TARGET_CHUNK_US = 300.0, 20.0
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "You are a careful assistant of a small company. Answer briefly."},
    {"role": "user", "content": "The customer says that the invoice was charged twice. What should we ask first?"},
]
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


class Contender(NamedTuple):
    """One way to make the same call."""

    name: str
    stands_on: str | None
    """The bare client that it is compared with; None: it is one."""
    plain: Callable[[], Any]
    streamed: Callable[[], int]
    """Reads a stream to its end and returns the number of its chunks."""
    aplain: Callable[[], Awaitable[Any]]
    astreamed: Callable[[], Awaitable[int]]
    after: Callable[[], None] = lambda: None
    """Done after each call, and not timed."""


class Row(NamedTuple):
    """A contender's figures in one way of calling, in microseconds."""

    way: str
    name: str
    p50_us: float
    added_us: float | None
    added_p90_us: float | None
    streamed: bool

    @property
    def per_chunk_us(self) -> float | None:
        """What is added by each chunk of a stream."""
        return self.added_us / CHUNKS_IN_ALL if self.streamed and self.added_us is not None else None


def bare_openai(url: str) -> Contender:
    """The OpenAI SDK."""
    import openai

    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0).chat.completions
    aclient = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0).chat.completions
    asked: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "timeout": 120.0}

    async def astreamed() -> int:
        return sum([1 async for _ in await aclient.create(**asked, **STREAMED)])

    return Contender(
        "openai SDK",
        None,
        lambda: client.create(**asked),
        lambda: sum(1 for _ in client.create(**asked, **STREAMED)),
        lambda: aclient.create(**asked),
        astreamed,
    )


def bare_litellm(url: str) -> Contender:
    """LiteLLM."""
    import litellm

    litellm.suppress_debug_info = True
    asked: dict[str, Any] = {
        "model": f"openai/{MODEL}",
        "messages": MESSAGES,
        "base_url": url,
        "api_key": "none",
        "timeout": 120.0,
        "max_retries": 0,
        "num_retries": 0,
    }

    async def astreamed() -> int:
        stream: Any = await litellm.acompletion(**asked, **STREAMED)
        return sum([1 async for _ in stream])

    return Contender(
        "litellm",
        None,
        lambda: litellm.completion(**asked),
        lambda: sum(1 for _ in litellm.completion(**asked, **STREAMED)),
        lambda: litellm.acompletion(**asked),
        astreamed,
    )


def litellm_router(url: str) -> Contender:
    """LiteLLM's router over one deployment, as its users configure it."""
    import litellm

    parameters = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "none", "timeout": 120.0, "max_retries": 0}
    router = litellm.Router(model_list=[{"model_name": MODEL, "litellm_params": parameters}], num_retries=0)
    asked: dict[str, Any] = {"model": MODEL, "messages": MESSAGES}

    async def astreamed() -> int:
        stream: Any = await router.acompletion(**asked, **STREAMED)
        return sum([1 async for _ in stream])

    return Contender(
        "litellm.Router",
        "litellm",
        lambda: router.completion(**asked),
        lambda: sum(1 for _ in router.completion(**asked, **STREAMED)),
        lambda: router.acompletion(**asked),
        astreamed,
    )


def ours(url: str, backend: str, *, traced: bool) -> Contender:
    """Our router, deciding between two models for every call."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    card = {"base_url": url, "backend": backend, "model": f"openai/{MODEL}", "context_tokens": 128_000}
    card |= {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
    router = Router(
        [{"id": MODEL, **card}, {"id": "other", **card}],
        incumbent=MODEL,
        config={"telemetry": {"enabled": traced}},
        tracer_provider=provider if traced else None,
    )

    def step() -> Step:
        return Step(messages=MESSAGES)

    async def astreamed() -> int:
        return sum([1 async for _ in router.astream(step())])

    return Contender(
        f"taskrouter, {backend}{', traced' if traced else ''}",
        "openai SDK" if backend == "openai" else "litellm",
        lambda: router.complete(step()),
        lambda: sum(1 for _ in router.stream(step())),
        lambda: router.acomplete(step()),
        astreamed,
        exporter.clear,
    )


def contenders(url: str) -> list[Contender]:
    """Return everybody."""
    return [
        bare_openai(url),
        ours(url, "openai", traced=False),
        ours(url, "openai", traced=True),
        bare_litellm(url),
        ours(url, "litellm", traced=False),
        ours(url, "litellm", traced=True),
        litellm_router(url),
    ]


def measure_sync(everybody: Sequence[Contender], rounds: int) -> list[Row]:
    """Time the blocking calls."""
    rows: list[Row] = []
    for way in ("plain", "streamed"):
        taken: dict[str, list[int]] = {one.name: [] for one in everybody}
        for number, one in _turns(everybody, rounds):
            call = getattr(one, way)
            started = time.perf_counter_ns()
            answer = call()
            ended = time.perf_counter_ns()
            _check(way, one, answer)
            time.sleep(0.001)  # LiteLLM logs in threads, which would run into the next call
            if number >= 0:
                taken[one.name].append(ended - started)
        rows += _rows(f"sync {way}", everybody, taken, streamed=way == "streamed")
    return rows


async def measure_async(everybody: Sequence[Contender], rounds: int) -> list[Row]:
    """Time the others."""
    rows: list[Row] = []
    for way in ("plain", "streamed"):
        taken: dict[str, list[int]] = {one.name: [] for one in everybody}
        for number, one in _turns(everybody, rounds):
            call = getattr(one, f"a{way}")
            started = time.perf_counter_ns()
            answer = await call()
            ended = time.perf_counter_ns()
            _check(way, one, answer)
            await asyncio.sleep(0.001)  # LiteLLM logs in a task
            if number >= 0:
                taken[one.name].append(ended - started)
        rows += _rows(f"async {way}", everybody, taken, streamed=way == "streamed")
    return rows


def _turns(everybody: Sequence[Contender], rounds: int) -> Iterable[tuple[int, Contender]]:
    rng = random.Random(0)
    for number in range(-WARM_UP, rounds):
        for one in rng.sample(everybody, len(everybody)):
            yield number, one
            one.after()


def _check(way: str, one: Contender, answer: Any) -> None:
    # LiteLLM leaves out the chunk with the usage, or makes one more: what is compared is the same stream.
    if way == "streamed" and abs(answer - CHUNKS_IN_ALL) > 2:
        raise AssertionError(f"{one.name} read {answer} chunks of {CHUNKS_IN_ALL}")


def _rows(way: str, everybody: Sequence[Contender], taken: Mapping[str, list[int]], *, streamed: bool) -> Iterable[Row]:
    for one in everybody:
        p50 = statistics.median(taken[one.name]) / 1000
        if one.stands_on is None:
            yield Row(way, one.name, p50, None, None, streamed)
            continue
        added = [(a - b) / 1000 for a, b in zip(taken[one.name], taken[one.stands_on], strict=True)]
        yield Row(way, one.name, p50, statistics.median(added), statistics.quantiles(added, n=10)[8], streamed)


def show(rows: Sequence[Row]) -> str:
    """Return the table."""
    lines = [f"{'':<18}{'':<28}{'p50':>9}{'added p50':>12}{'p90':>9}{'a chunk':>10}"]
    way = ""
    for row in rows:
        line = f"{row.way if row.way != way else '':<18}{row.name:<28}{row.p50_us:>6.0f} µs"
        way = row.way
        if row.added_us is not None and row.added_p90_us is not None:
            line += f"{row.added_us:>9.0f} µs{row.added_p90_us:>6.0f} µs"
            line += f"{row.per_chunk_us:>7.1f} µs" if row.per_chunk_us is not None else " " * 10
            line += _target(row)
        lines.append(line)
    return "\n".join(lines)


def _target(row: Row) -> str:
    if not row.name.startswith("taskrouter") or row.added_us is None:
        return ""
    if row.per_chunk_us is not None:
        return f"   target <= {TARGET_CHUNK_US:g} µs a chunk: {_met(row.per_chunk_us <= TARGET_CHUNK_US)}"
    return f"   target <= {TARGET_CALL_US:g} µs: {_met(row.added_us <= TARGET_CALL_US)}"


def _met(met: bool) -> str:
    return "met" if met else "missed"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with served() as url:
        rows = measure_sync(contenders(url), options.rounds)
        rows += asyncio.run(measure_async(contenders(url), options.rounds))
    if options.json:
        print(json.dumps({"rounds": options.rounds, "rows": [row._asdict() for row in rows]}, indent=2))
        return
    print(show(rows))


if __name__ == "__main__":
    main()
