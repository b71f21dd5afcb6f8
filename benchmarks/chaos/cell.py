"""One cell of the matrix: a router meets a fault; what came of it is written down and judged."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from benchmarks.chaos.asking import Answer, ask, ask_and_cancel, ask_and_interrupt, ask_async
from benchmarks.chaos.expected import Backend, Mode
from benchmarks.chaos.records import Attempts, Spans
from benchmarks.chaos.stage import FIRST, SECOND, Stage, pool
from opentelemetry.sdk.trace import TracerProvider

from taskrouter import Router
from taskrouter.health import EndpointState
from taskrouter.outcome import Attempt
from taskrouter.simulator import RequestRecord
from taskrouter.simulator.config import Fault

Driver: TypeAlias = Literal["sync", "async"]
Situation: TypeAlias = Literal[
    "first_fails",
    "both_fail",
    "breakers_open",
    "long_pause",
    "cancelled",
    "cancelled_in_pause",
    "deadline",
    "step_timeout",
]
"""What is the matter: the first model meets the fault; both do; both breakers are open; the provider asks for a longer
pause than we would wait; the caller goes away; time runs out."""

LIMIT_S = 0.4
"""The deadline, or the step's time limit, of the cells in which time runs out."""
QUICK = {"timeout_s": 0.6, "first_token_timeout_s": 0.6, "stall_timeout_s": 0.6}
PATIENT = {"timeout_s": 10.0, "first_token_timeout_s": 10.0, "stall_timeout_s": 10.0}
BACKOFF = {"backoff_base_s": 0.01, "backoff_max_s": 0.02}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is tried."""

    fault: Fault
    driver: Driver = "async"
    mode: Mode = "plain"
    backend: Backend = "openai"
    situation: Situation = "first_fails"

    def __str__(self) -> str:
        return f"{self.situation}: {self.fault}, {self.driver} {self.mode}, {self.backend}"


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What came of it."""

    cell: Cell
    answer: Answer
    attempts: list[Attempt]
    requests: list[RequestRecord]
    began_at: float
    """Seconds since the epoch, as the simulator's."""
    took_s: float
    spans: Spans
    health: tuple[EndpointState, ...]
    used_nano_usd: tuple[int, int]
    """Spent and held."""
    idle_before_close: int
    """Connections open after the answer."""
    open_after_close: int
    late_requests: int = 0
    """Requests that arrived after the step had ended."""
    prior: list[Attempt] = field(default_factory=list)
    """Attempts made before, to open the breakers."""


def observe(cell: Cell, stage: Stage) -> Evidence:
    """Run a cell."""
    stage.heal()
    attempts, spans, answer = Attempts(), Spans(), Answer()
    with ExitStack() as stack:
        provider = spans.provider()
        stack.callback(provider.shutdown)
        router = _router(cell, stage, attempts, provider)
        budget = router.budget(usd=1.0, deadline_s=LIMIT_S if cell.situation == "deadline" else None)
        prior = _open_breakers(cell, stage, router, attempts, spans)
        _afflict(cell, stage)
        began_at, began = time.time(), time.monotonic()
        run = _run_sync if cell.driver == "sync" else _run_async
        with budget:
            took_s, idle, received = run(cell, stage, router, answer, began)
    stage.server.wait_for(lambda records: all(record.done for record in records), 2.0)
    stage.server.wait_for_connections(0, _closing_s(cell))
    requests = stage.server.requests
    evidence = Evidence(
        cell=cell,
        answer=answer,
        attempts=[attempt for attempt in attempts.all if attempt not in prior],
        requests=requests,
        began_at=began_at,
        took_s=took_s,
        spans=spans,
        health=router.health(),
        used_nano_usd=budget.used("usd"),
        idle_before_close=idle,
        open_after_close=stage.server.open_connections,
        late_requests=len(requests) - received,
        prior=prior,
    )
    forget_litellm_clients()
    del router
    if not stage.server.wait_for_connections(0, 0.2):
        gc.collect()  # what this cell has left open is not to be blamed on the next one
        stage.server.wait_for_connections(0)
    return evidence


def _router(cell: Cell, stage: Stage, attempts: Attempts, provider: TracerProvider) -> Router:
    running_out = cell.situation in ("deadline", "step_timeout")
    patient = running_out or cell.situation.startswith("cancelled")
    execution: dict[str, Any] = {**BACKOFF, **(PATIENT if patient else QUICK)}
    health: dict[str, Any] = {}
    if running_out:
        # Many retries, so that a request after the end would have every reason to be sent.
        execution |= {"retries": 10, "max_attempts": 50, "backoff_base_s": 0.2, "backoff_max_s": 0.2}
        health = {"enabled": False}
    if cell.situation == "step_timeout":
        execution["step_timeout_s"] = LIMIT_S
    if cell.situation == "breakers_open":
        execution["retries"] = 0
        health = {"failures": 1, "open_s": 60.0, "down_s": 60.0}
    return Router(
        pool(stage.server, cell.backend),
        incumbent=FIRST,
        plugins=[attempts],
        config={"execution": execution, "health": health, "router": {"seed": 1}},
        tracer_provider=provider,
    )


def _afflict(cell: Cell, stage: Stage) -> None:
    match cell.situation:
        case "breakers_open":
            stage.heal()
            stage.server.reset()
        case "both_fail" | "deadline" | "step_timeout":
            stage.afflict(cell.fault, FIRST, SECOND)
        case "long_pause" | "cancelled_in_pause":
            stage.afflict(cell.fault, FIRST, retry_after_s=30.0 if cell.situation == "long_pause" else 5.0)
        case _:
            stage.afflict(cell.fault, FIRST)


def _open_breakers(cell: Cell, stage: Stage, router: Router, attempts: Attempts, spans: Spans) -> list[Attempt]:
    """Let both models fail once, which opens both breakers."""
    if cell.situation != "breakers_open":
        return []
    stage.afflict(cell.fault, FIRST, SECOND)
    run = _ask_and_catch if cell.driver == "sync" else lambda *args: asyncio.run(_ask_async_and_close(*args))
    run(router, "plain", Answer())
    assert {state.breaker for state in router.health()} == {"open"}, "the breakers did not open"
    spans.ended.clear()
    return list(attempts.all)


def _ask_and_catch(router: Router, mode: Mode, answer: Answer) -> None:
    with _caught(answer):
        ask(router, mode, answer)


async def _ask_async_and_close(router: Router, mode: Mode, answer: Answer) -> None:
    with _caught(answer):
        await ask_async(router, mode, answer)
    await router.aclose()


def _run_sync(cell: Cell, stage: Stage, router: Router, answer: Answer, began: float) -> tuple[float, int, int]:
    with router:
        with _caught(answer):
            if cell.situation.startswith("cancelled"):
                ask_and_interrupt(router, cell.mode, answer, _ready(cell, stage, answer))
            else:
                ask(router, cell.mode, answer)
        took_s = time.monotonic() - began
        received, idle = len(stage.server.requests), _settled_connections(stage)
        if _watches(cell):
            _keep_quiet(cell, stage, received)
    return took_s, idle, received


def _run_async(cell: Cell, stage: Stage, router: Router, answer: Answer, began: float) -> tuple[float, int, int]:
    async def run() -> tuple[float, int, int]:
        async with router:
            with _caught(answer):
                if cell.situation.startswith("cancelled"):
                    await ask_and_cancel(router, cell.mode, answer, _ready(cell, stage, answer))
                else:
                    await ask_async(router, cell.mode, answer)
            took_s = time.monotonic() - began
            received = len(stage.server.requests)
            idle = await asyncio.to_thread(_settled_connections, stage)
            if _watches(cell):
                await asyncio.to_thread(_keep_quiet, cell, stage, received)
        return took_s, idle, received

    return asyncio.run(run())


@contextmanager
def _caught(answer: Answer) -> Iterator[None]:
    try:
        yield
    except (Exception, asyncio.CancelledError, KeyboardInterrupt) as error:  # noqa: BLE001 - what it is, is judged later
        answer.error = error


def _ready(cell: Cell, stage: Stage, answer: Answer) -> Callable[[], bool]:
    """Return what waits for the middle of the fault."""

    def ready() -> bool:
        if cell.situation == "cancelled_in_pause":
            return stage.server.wait_for(lambda records: bool(records) and records[0].done)
        if cell.mode == "stream" and cell.fault == "stall":
            return answer.begun.wait(5.0)
        wants_bytes = cell.fault in ("stall", "stall_after_role")
        return stage.server.wait_for(lambda records: bool(records) and (not wants_bytes or records[0].status == 200))

    def and_a_moment_later() -> bool:
        came = ready()
        threading.Event().wait(0.05)  # the client, too, has to get to where it waits
        return came

    return and_a_moment_later


def _watches(cell: Cell) -> bool:
    return cell.situation.startswith("cancelled") or cell.situation in ("deadline", "step_timeout")


def _keep_quiet(cell: Cell, stage: Stage, received: int) -> None:
    """Wait, longer than any backoff of the cell, whether another request comes."""
    longer_s = 0.1 if cell.situation.startswith("cancelled") else 0.25
    stage.server.wait_for(lambda records: len(records) > received, longer_s)


def _settled_connections(stage: Stage) -> int:
    """Return how many connections are open once nothing is under way any more."""
    stage.server.wait_for(lambda records: all(record.done for record in records), 2.0)
    return stage.server.open_connections


def _closing_s(cell: Cell) -> float:
    """LiteLLM keeps its synchronous clients: they are its own, and stay open."""
    return 0.0 if (cell.backend, cell.driver) == ("litellm", "sync") else 2.0


def forget_litellm_clients() -> None:
    """Close the synchronous clients that LiteLLM keeps, so that the next cell begins without connections."""
    cache = getattr(getattr(sys.modules.get("litellm"), "in_memory_llm_clients_cache", None), "cache_dict", {})
    for key in list(cache):
        client = cache.pop(key)
        if hasattr(client, "close") and not asyncio.iscoroutinefunction(client.close):
            client.close()
