"""All cells, run in a few processes side by side: most of their time they wait for a simulated provider."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import product
from typing import get_args

from benchmarks.chaos.asking import Answer, ask, ask_async
from benchmarks.chaos.cell import Cell, Driver, forget_litellm_clients
from benchmarks.chaos.expected import BACKENDS, HANGING, LIMITS, MODES, Backend, Mode
from benchmarks.chaos.judging import Verdict, run
from benchmarks.chaos.stage import FIRST, Stage, pool, staged

from taskrouter import Router
from taskrouter.simulator.config import FAULTS, Fault

DRIVERS: tuple[Driver, ...] = get_args(Driver)
_WHOLE_AND_STREAMED: tuple[Mode, ...] = ("plain", "stream")
_OPENS_BREAKERS: tuple[Fault, ...] = ("server_error", "timeout", "empty_answer", "unauthorized")
_RUNS_OUT: tuple[Fault, ...] = (*HANGING, "overloaded", "rate_limit_ms", "drop_connection")
"""Where time runs out: in calls that hang, and in the pauses between calls that fail."""
PROCESSES = 4


def failovers() -> Iterator[Cell]:
    """Yield every fault of the first model, in every way to ask."""
    for backend, fault, driver, mode in product(BACKENDS, FAULTS, DRIVERS, MODES):
        yield Cell(fault=fault, driver=driver, mode=mode, backend=backend)


def others() -> Iterator[Cell]:
    """Yield what else can be the matter."""
    for backend, driver, mode in product(BACKENDS, DRIVERS, _WHOLE_AND_STREAMED):
        for fault in FAULTS:
            yield Cell(fault=fault, driver=driver, mode=mode, backend=backend, situation="both_fail")
        for fault in _OPENS_BREAKERS:
            yield Cell(fault=fault, driver=driver, mode=mode, backend=backend, situation="breakers_open")
        for fault in LIMITS:
            yield Cell(fault=fault, driver=driver, mode=mode, backend=backend, situation="long_pause")
        for fault in HANGING:
            yield Cell(fault=fault, driver=driver, mode=mode, backend=backend, situation="cancelled")
        yield Cell(fault="rate_limit", driver=driver, mode=mode, backend=backend, situation="cancelled_in_pause")
        for fault in _RUNS_OUT:
            yield Cell(fault=fault, driver=driver, mode=mode, backend=backend, situation="deadline")
            yield Cell(fault=fault, driver=driver, mode=mode, backend=backend, situation="step_timeout")


def judge(cells: Sequence[Cell]) -> list[Verdict]:
    """Run cells in several processes, each with a simulator of its own; one cell at a time in each."""
    # Neighbours take equally long, so every process gets a few of each kind.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_begin) as pool:
        return list(pool.map(_run, cells, chunksize=4))


_STAGE: list[Stage] = []
_OPEN = ExitStack()


def _begin() -> None:
    """Start this process's simulator and warm its clients up."""
    _STAGE.append(_OPEN.enter_context(staged()))
    warm_up(_STAGE[0])


def warm_up(stage: Stage, backends: Iterable[Backend] = BACKENDS) -> None:
    """Let every client do its first calls, without limits: they import and set up things, which takes seconds."""
    stage.heal()
    for backend in backends:
        with Router(pool(stage.server, backend), incumbent=FIRST) as router:
            for mode in MODES:
                ask(router, mode, Answer())
            asyncio.run(_warm_up_async(router))
    forget_litellm_clients()
    stage.server.wait_for_connections(0)


async def _warm_up_async(router: Router) -> None:
    async with router:
        for mode in MODES:
            await ask_async(router, mode, Answer())


def _run(cell: Cell) -> Verdict:
    return run(cell, _STAGE[0])
