"""Many steps at once through one router, while two of its three models fail three times in ten, in every way."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.chaos.asking import joined, read
from benchmarks.chaos.leftovers import Memory, Resources, connections
from benchmarks.chaos.provider import ALWAYS, FLAKY, HEALTHY, SHAKY, pool, simulator
from benchmarks.chaos.questions import kind, step
from benchmarks.chaos.tally import Figures, Report, Tally

from taskrouter import Router

GROWTH_LIMIT_KIB = 1024.0
"""Of 8,000 steps: a step that left behind more than 130 bytes would be found out."""
FAILOVER_LIMIT_MS = 50.0
_EXECUTION = {
    "timeout_s": 6.0,
    "first_token_timeout_s": 6.0,
    "stall_timeout_s": 6.0,
    "backoff_base_s": 0.01,
    "backoff_max_s": 0.05,
}
# Breakers close again at once, or the two failing models would hardly be called.
_HEALTH = {"open_s": 0.05, "max_open_s": 0.1, "down_s": 0.05}


def _router(url: str, tally: Tally) -> Router:
    return Router(
        pool(url, FLAKY, SHAKY, HEALTHY),
        incumbent=FLAKY,
        plugins=[tally],
        config={"execution": _EXECUTION, "health": _HEALTH, "router": {"seed": 1}},
    )


# --- the soaks ------------------------------------------------------------------------------------------------------


async def soak_async(url: str, *, steps: int, warm: int, concurrent: int) -> Report:
    """Run the asynchronous soak, through the OpenAI SDK."""
    report, tally = Report(), Tally()
    started = time.monotonic()
    async with _router(url, tally) as router:
        with router.budget(usd=1_000_000.0) as budget:
            await _carry_out(router, tally, range(warm), concurrent)
            tally.timed = False  # tracing memory makes everything several times slower
            tracemalloc.start()
            first = Memory.now()
            await _carry_out(router, tally, range(warm, steps), concurrent)
            last = Memory.now()
        took_s = time.monotonic() - started
        health = router.health()
    tracemalloc.stop()
    _account(report, tally, steps, took_s, budget.used("usd"), health)
    report.say(f"memory traced from step {warm:,} on, growth", f"{last.traced_kib - first.traced_kib:+.0f} KiB")
    report.say("blocks of memory, growth", f"{last.blocks - first.blocks:+,} of {first.blocks:,}")
    report.say("resident memory", f"{first.rss_mib:.1f} MiB, then {last.rss_mib:.1f} MiB")
    report.check(last.traced_kib - first.traced_kib < GROWTH_LIMIT_KIB, "memory grows with the steps")
    left = await _lasting_tasks()
    report.say("tasks left behind", len(left))
    report.problems += [f"a task is left behind: {task!r:.500}" for task in left]
    return report


async def _lasting_tasks() -> list[asyncio.Task[Any]]:
    """Return the other tasks that do not end by themselves; closing what a client has dropped takes a moment."""
    gc.collect()
    for _ in range(100):
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if not left:
            break
        await asyncio.sleep(0.01)
    return left


async def _carry_out(router: Router, tally: Tally, numbers: range, concurrent: int) -> None:
    waiting = iter(numbers)

    async def worker() -> None:
        for number in waiting:
            try:
                if kind(number) == "stream":
                    async with router.astream(step(number)) as stream:
                        chunks = [chunk async for chunk in stream]
                    assert stream.outcome is not None
                    tally.answered(number, stream.outcome, joined(chunks))
                else:
                    outcome = await router.acomplete(step(number))
                    tally.answered(number, outcome, read(outcome.response))
            except Exception as error:  # noqa: BLE001 - what it is, the tally tells
                tally.failed(number, error)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrent):
            group.create_task(worker())


def soak_sync(url: str, *, steps: int, threads: int) -> Report:
    """Run the synchronous soak."""
    report, tally = Report(), Tally()
    started = time.monotonic()
    with _router(url, tally) as router:
        with router.budget(usd=1_000_000.0) as budget, ThreadPoolExecutor(threads) as workers:
            context = contextvars.copy_context()  # it carries the budget into the threads
            list(workers.map(lambda number: context.copy().run(_carry_out_one, router, tally, number), range(steps)))
        took_s = time.monotonic() - started
        health = router.health()
    _account(report, tally, steps, took_s, budget.used("usd"), health)
    return report


def _carry_out_one(router: Router, tally: Tally, number: int) -> None:
    try:
        if kind(number) == "stream":
            with router.stream(step(number)) as stream:
                chunks = list(stream)
            assert stream.outcome is not None
            tally.answered(number, stream.outcome, joined(chunks))
        else:
            outcome = router.complete(step(number))
            tally.answered(number, outcome, read(outcome.response))
    except Exception as error:  # noqa: BLE001 - what it is, the tally tells
        tally.failed(number, error)


def _account(
    report: Report, tally: Tally, steps: int, took_s: float, used: tuple[int, int], health: Sequence[Any]
) -> None:
    status = tally.by_status
    report.say("steps", f"{tally.steps:,} in {took_s:.0f} s, {tally.attempts:,} calls")
    report.say("answered at once, after a failover", f"{status['ok']:,}, {status['fallback']:,}")
    report.say("streams broken after their first word", f"{status['broken']:,}")
    report.say("lost", f"{status['lost']:,}")
    report.say("answered by", ", ".join(f"{name} {count:,}" for name, count in tally.by_model.most_common()))
    report.say("failed calls", ", ".join(f"{kind} {count:,}" for kind, count in tally.failures.most_common()))
    report.say("added by a failover, calls and pauses aside", Figures.of(tally.gap_s))
    report.say("whole steps that were answered at once", Figures.of(tally.plain_s))
    report.say("... after one instant failure, pauses aside", Figures.of(tally.instant_s))
    report.problems += tally.problems
    report.check(tally.steps == steps, f"{steps - tally.steps} steps never ended")
    spent, held = used
    report.check(held == 0, f"{held} nano-dollars are still reserved")
    report.check(spent == tally.booked_nano_usd, f"spent {spent} nano-dollars, booked {tally.booked_nano_usd}")
    report.check(Figures.of(tally.gap_s).p50 < FAILOVER_LIMIT_MS, "a failover adds more than it may")
    for state in health:
        report.check(state.in_flight == 0, f"{state.in_flight} calls of {state.id!r} are in flight for ever")


def _left_behind(report: Report, url: str, before: Resources) -> None:
    gc.collect()
    after = Resources.now()
    still_open = connections(url)
    report.say(
        "threads, sockets: before and after",
        f"{before.threads} and {after.threads}, {before.sockets} and {after.sockets}",
    )
    report.say("connections at the simulator", still_open)
    report.check(after.sockets <= before.sockets, "sockets are left open")
    report.check(still_open == 0, "connections are left open")
    report.check(after.threads <= before.threads, "threads are left behind")


async def _one_call(url: str) -> None:
    async with Router(pool(url, HEALTHY)) as router:
        await router.acomplete(step(0))


# --- the direct measurement -----------------------------------------------------------------------------------------


async def direct(url: str, rounds: int) -> Report:
    """Measure steps one at a time: a plain one, and one whose first model fails at once, interleaved.

    Every model that fails has a router of its own, without retries and breakers: one failed call, then the healthy
    model. What is added is the difference to the plain step of the same round, the failed call included.
    """
    report = Report()
    config = {"execution": {"retries": 0}, "health": {"enabled": False}}
    routers = {name: Router(pool(url, name, HEALTHY), incumbent=name, config=config) for name in ALWAYS}
    plain = Router(pool(url, HEALTHY))
    taken: dict[str, list[float]] = {name: [] for name in ("plain", *ALWAYS)}
    rng = random.Random(0)
    for number in range(-20, rounds):
        for name in rng.sample(list(taken), len(taken)):
            router = plain if name == "plain" else routers[name]
            started = time.perf_counter()
            outcome = await router.acomplete(step(10 * abs(number)))
            ended = time.perf_counter()
            assert outcome.model == HEALTHY
            if number >= 0:
                taken[name].append(ended - started)
    report.say("a plain step", Figures.of(taken["plain"]))
    for name, fault in ALWAYS.items():
        added = Figures.of([a - b for a, b in zip(taken[name], taken["plain"], strict=True)])
        report.say(f"added by a failover after {fault}", added)
        report.check(added.p50 < FAILOVER_LIMIT_MS, f"a failover after {fault} adds {added.p50:.0f} ms at the median")
    for router in (plain, *routers.values()):
        await router.aclose()
    return report


def soak(
    *, steps: int = 10_000, warm: int = 2_000, sync_steps: int = 1_000, rounds: int = 300
) -> Iterator[tuple[str, Report]]:
    """Run everything; yield a title and a report each time that something is done."""
    with simulator() as url:
        asyncio.run(_one_call(url))  # what only the first call makes is not the soak's
        before = Resources.now()
        report = asyncio.run(soak_async(url, steps=steps, warm=warm, concurrent=50))
        _left_behind(report, url, before)
        yield f"{steps:,} asynchronous steps, 50 at once", report
        report = soak_sync(url, steps=sync_steps, threads=8)
        _left_behind(report, url, before)
        yield f"{sync_steps:,} synchronous steps from 8 threads", report
        yield "one step at a time", asyncio.run(direct(url, rounds))
