"""Proof that processes which share a budget keep it, also while the store that they share goes away.

    python benchmarks/shared_budget.py [--processes 8] [--limit 1.00] [--outage killed] [--json]

Processes of their own share one real redis-server and one budget, and call a simulator over HTTP until each of them is
refused. Several runs: all is well; redis-server is killed in the middle and started again with nothing in it, also when
most is spent, and also so fast that hardly anybody notices; it hangs in the middle. Every run checks that

- what was really spent, by the attempts of all processes and by the simulator's own count of tokens, is at most the
  limit plus the declared error: what single calls have cost above what was reserved for them (`output_margin` is 1
  here, so that many do);
- every step got an answer or a refusal by the budget, and no process said more than once that the store is away;
- a breaker that opens in one process is open in all within one refresh interval and a margin.

The exit code is 1 when one of them fails. It needs redis-server.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the server that the tests use too

from tests.core.state.redis_server import RedisServer

from taskrouter import BudgetExceededError, Router, Step, TaskRouterError, simulator
from taskrouter.simulator import RunningServer

KEY = "all processes together"
REFRESH_S = 0.5
MARGIN_S = 1.0
"""What a loaded machine may add to a refresh interval."""
PATIENCE_S = 120.0
MODELS = ("steady", "fragile")
USD_PER_MILLION = {"input": 1.0, "output": 5.0}
MARGIN = 1.35
"""`router.margin`, which is on the estimate of the input."""


class Outage(NamedTuple):
    """What happens to redis-server."""

    said: str
    kills: bool = False
    from_share: float = 0.3
    """How much of the budget is spent when it goes."""
    away_s: float = 3.0


OUTAGES = {
    "none": Outage("is there"),
    "killed": Outage("is killed and comes back empty", kills=True),
    "late": Outage("is killed when most is spent, and comes back empty", kills=True, from_share=0.8, away_s=1.0),
    "brief": Outage("is killed and comes back empty at once", kills=True, from_share=0.8, away_s=0.0),
    "hanging": Outage("hangs"),
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What the processes are told."""

    base_url: str
    redis_url: str
    limit_usd: float

    def router(self) -> Router:
        """A router as every process makes it."""
        price = {f"{kind}_usd_per_million": usd for kind, usd in USD_PER_MILLION.items()}
        models = [{"id": name, "base_url": self.base_url, "context_tokens": 100_000, **price} for name in MODELS]
        return Router.from_config(
            {
                "router": {"incumbent": "steady", "margin": MARGIN},
                "models": models,
                "rules": [{"name": "fragile", "when": {"agent": "breaker"}, "use": ["fragile"]}],
                "execution": {"retries": 0, "max_attempts": 1},
                "health": {"failures": 2, "open_s": 60.0},
                "budget": {"output_margin": 1.0, "wait_s": 2.0},
                "state": {"url": self.redis_url, "refresh_s": REFRESH_S},
            }
        )


class Paid(NamedTuple):
    """One call."""

    at_s: float
    usd: float
    reserved_usd: float
    input_tokens: int
    output_tokens: int


@dataclass(kw_only=True)
class Told:
    """What a process reports."""

    paid: list[Paid] = field(default_factory=list)
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    """Steps that got neither an answer nor a refusal by the budget."""
    warnings: list[str] = field(default_factory=list)
    opened_at_s: float = 0.0
    """When it knew that the breaker was open, seconds since the epoch."""


class Signals(NamedTuple):
    """What happens when."""

    ready: Any
    break_it: Event
    known: Any
    spend: Event
    turns: Sequence[Any]
    """Of each process: one for each call, until the store has gone."""
    taken: Any
    """One for each turn whose call has ended."""
    gone: Event
    """From when on calls need no turn."""
    paid_meanwhile: Any
    """One for each call that was paid for between `gone` and `calm`."""
    calm: Event
    """The store is there, and will be."""
    done: Any


def work(scene: Scene, number: int, signals: Signals) -> None:
    """Be one of the processes."""
    told = Told()
    handler = _Keeping(told.warnings)
    logging.getLogger("taskrouter").addHandler(handler)
    rng = random.Random(number)
    with scene.router() as router:
        _pay(router, rng, told)
        signals.ready.release()
        assert signals.break_it.wait(PATIENCE_S)
        if number == 0:
            _fail(router)
        while not any(state.id == "fragile" and state.breaker == "open" for state in router.health()):
            time.sleep(0.002)
        told.opened_at_s = time.time()
        signals.known.release()
        assert signals.spend.wait(PATIENCE_S)
        with router.budget(usd=scene.limit_usd, key=KEY):
            _spend(router, rng, told, signals, signals.turns[number])
    signals.done.put(told)


def _spend(router: Router, rng: random.Random, told: Told, signals: Signals, turns: Any) -> None:
    """Call until the budget refuses although the store is there."""
    while True:
        my_turn = False
        while not signals.gone.is_set() and not (my_turn := turns.acquire(timeout=0.1)):
            continue
        was_calm = signals.calm.is_set()
        try:
            was_away = signals.gone.is_set() and not was_calm
            _pay(router, rng, told)
            if was_away:
                signals.paid_meanwhile.release()
        except BudgetExceededError as refused:
            told.refused += 1
            if was_calm and "shared state is away" not in str(refused):
                return
            time.sleep(0.05)
        except TaskRouterError as error:
            told.lost.append(f"{type(error).__name__}: {error}")
        finally:
            if my_turn:
                signals.taken.release()


def _pay(router: Router, rng: random.Random, told: Told) -> None:
    """Ask for a text back whose length nobody knows before."""
    words = rng.choices(("harbour", "fog", "morning", "light", "boat", "quiet"), k=rng.randrange(5, 120))
    prompt = f"Summarise: {' '.join(words)}. The rest is of no importance. Nobody will read it."
    limits = {"max_tokens": rng.randrange(5, 200)} if rng.random() < 0.3 else {}
    outcome = router.complete(Step(messages=[{"role": "user", "content": prompt}], payload=limits))
    profile = outcome.decision.profile
    reserved_usd = router.models["steady"].cost_usd(
        math.ceil(profile.input_tokens * MARGIN), limits.get("max_tokens", profile.output_tokens)
    )
    for attempt in outcome.attempts:
        assert attempt.cost_usd is not None
        assert attempt.usage is not None
        assert reserved_usd is not None
        tokens = attempt.usage.input_tokens, attempt.usage.output_tokens
        told.paid.append(Paid(time.time(), attempt.cost_usd, reserved_usd, *tokens))


def _fail(router: Router) -> None:
    from taskrouter import StepContext

    for _ in range(2):
        try:
            router.complete(Step(messages=[{"role": "user", "content": "?"}], context=StepContext(agent="breaker")))
        except TaskRouterError:
            continue


class _Keeping(logging.Handler):
    def __init__(self, kept: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "taskrouter.routing":  # that steps fail is what we have asked for
            self._kept.append(record.getMessage())


# the run ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one run."""

    outage: str
    processes: int
    limit_usd: float
    phases_usd: dict[str, float]
    """US dollars spent by calls that ended before, during and after the outage."""
    spent_usd: float
    simulator_usd: float
    """The same by the simulator's count of tokens."""
    declared_error_usd: float
    """Sum of what calls have cost above what was reserved for them."""
    calls: int
    refused: int
    breaker_s: float
    """From the breaker's opening in one process until all knew of it."""
    lost: list[str]
    warnings: list[int]
    """How many each process has logged."""
    seconds: float

    def failures(self) -> list[str]:
        """Return what was promised and not kept."""
        most_usd = self.limit_usd + self.declared_error_usd + 1e-9
        most_warnings = 0 if self.outage == "none" else 1
        checks = {
            f"spent ${self.spent_usd:.6f}, which is more than ${most_usd:.6f}": self.spent_usd > most_usd,
            f"spent ${self.spent_usd:.9f}, but the simulator counted ${self.simulator_usd:.9f}": abs(
                self.spent_usd - self.simulator_usd
            )
            > 1e-9,
            f"spent only ${self.spent_usd:.6f} before everybody was refused": self.spent_usd < 0.9 * self.limit_usd,
            f"{len(self.lost)} steps were lost, the first: {self.lost[:1]}": bool(self.lost),
            f"warnings by process: {self.warnings}": max(self.warnings) > most_warnings,
            f"the breaker was known to all after {self.breaker_s:.2f} s": self.breaker_s > REFRESH_S + MARGIN_S,
            "nothing was spent while redis-server was away": self.outage not in ("none", "brief")
            and not self.phases_usd.get("during"),
        }
        return [said for said, failed in checks.items() if failed]


def run(outage: str, *, processes: int, limit_usd: float, away_s: float | None = None) -> Result:
    """Let processes spend a budget together.

    Args:
        outage: one of `OUTAGES`.
        processes: how many.
        limit_usd: the budget, US dollars.
        away_s: how long redis-server is away, seconds.
    """
    what = OUTAGES[outage]
    if away_s is not None:
        what = what._replace(away_s=away_s)
    began_s = time.monotonic()
    models = [
        {"id": name, **{f"{kind}_usd_per_million": usd for kind, usd in USD_PER_MILLION.items()}} for name in MODELS
    ]
    with RedisServer() as redis, simulator.serve({"speed": 0.0, "models": models}) as server:
        server.script("fragile", "server_error", "server_error")
        scene = Scene(base_url=server.base_url, redis_url=redis.url, limit_usd=limit_usd)
        with _started(scene, processes) as (signals, results):
            server.reset()
            if outage == "none":
                signals.calm.set()
                signals.gone.set()
            signals.spend.set()
            phases = None if outage == "none" else _away(what, redis, server, limit_usd, signals)
            signals.calm.set()
            told = results()
        return _result(outage, told, server, limit_usd, phases, time.monotonic() - began_s)


@contextmanager
def _started(scene: Scene, processes: int) -> Iterator[tuple[Signals, Callable[[], list[Told]]]]:
    """Start the processes and let a breaker open in one of them; then they wait for the signal to spend."""
    context = multiprocessing.get_context("spawn")
    signals = Signals(
        ready=context.Semaphore(0),
        break_it=context.Event(),
        known=context.Semaphore(0),
        spend=context.Event(),
        turns=[context.Semaphore(0) for _ in range(processes)],
        taken=context.Semaphore(0),
        gone=context.Event(),
        paid_meanwhile=context.Semaphore(0),
        calm=context.Event(),
        done=context.Queue(),
    )
    started = [context.Process(target=work, args=(scene, number, signals)) for number in range(processes)]
    for process in started:
        process.start()
    try:
        for _ in started:
            assert signals.ready.acquire(timeout=PATIENCE_S), "a process did not start"
        signals.break_it.set()
        for _ in started:
            assert signals.known.acquire(timeout=PATIENCE_S), "a process never heard of the breaker"
        yield signals, lambda: [signals.done.get(timeout=PATIENCE_S) for _ in started]
        for process in started:
            process.join(PATIENCE_S)
    finally:
        for process in started:
            if process.is_alive():
                process.terminate()


def _away(
    what: Outage, redis: RedisServer, server: RunningServer, limit_usd: float, signals: Signals
) -> tuple[float, float]:
    """Take the store away for a while; return from when to when, seconds since the epoch.

    Calls get their turn one by one until it goes, so that it goes when it should, however fast the calls are.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    turns = itertools.cycle(signals.turns)
    while _counted_usd(server) < what.from_share * limit_usd:
        assert time.monotonic() < deadline_s, "so much was never spent"
        next(turns).release()
        signals.taken.acquire(timeout=PATIENCE_S)
    if what.kills:
        redis.kill()
    else:
        redis.pause()
    from_s = time.time()
    signals.gone.set()
    time.sleep(what.away_s)
    if what.away_s:
        signals.paid_meanwhile.acquire(timeout=PATIENCE_S)
    if what.kills:
        redis.start()
    else:
        redis.go_on()
    return from_s, time.time()


def _counted_usd(server: RunningServer) -> float:
    records = [record for record in server.requests if record.status == 200]
    tokens_in, tokens_out = sum(r.prompt_tokens for r in records), sum(r.completion_tokens for r in records)
    return (tokens_in * USD_PER_MILLION["input"] + tokens_out * USD_PER_MILLION["output"]) / 1e6


def _result(
    outage: str,
    told: list[Told],
    server: RunningServer,
    limit_usd: float,
    phases: tuple[float, float] | None,
    seconds: float,
) -> Result:
    paid = [paid for each in told for paid in each.paid[1:]]  # the first was before the budget began
    spent: dict[str, float] = {}
    for call in paid:
        name = "all" if phases is None else _phase(call.at_s, *phases)
        spent[name] = spent.get(name, 0.0) + call.usd
    opened = [each.opened_at_s for each in told]
    return Result(
        outage=outage,
        processes=len(told),
        limit_usd=limit_usd,
        phases_usd=spent,
        spent_usd=math.fsum(call.usd for call in paid),
        simulator_usd=_counted_usd(server),
        declared_error_usd=math.fsum(max(0.0, call.usd - call.reserved_usd) for call in paid),
        calls=len(paid),
        refused=sum(each.refused for each in told),
        breaker_s=max(opened) - min(opened),
        lost=[lost for each in told for lost in each.lost],
        warnings=[len(each.warnings) for each in told],
        seconds=seconds,
    )


def _phase(at_s: float, from_s: float, to_s: float) -> str:
    return "before" if at_s < from_s else "during" if at_s < to_s else "after"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--limit", type=float, default=1.0)
    parser.add_argument("--outage", choices=list(OUTAGES), action="append")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    failed = False
    results = []
    for outage in arguments.outage or OUTAGES:
        result = run(outage, processes=arguments.processes, limit_usd=arguments.limit)
        failures = result.failures()
        failed = failed or bool(failures)
        results.append({**vars(result), "failures": failures})
        if not arguments.json:
            _show(result, failures)
    if arguments.json:
        print(json.dumps(results, indent=2))
    sys.exit(int(failed))


def _show(result: Result, failures: list[str]) -> None:
    phases = ", ".join(f"{name} ${result.phases_usd.get(name, 0.0):.4f}" for name in _phases(result))
    rows = {
        "redis-server": OUTAGES[result.outage].said,
        "processes": str(result.processes),
        "limit": f"${result.limit_usd:.2f}",
        "really spent": f"${result.spent_usd:.6f} by the attempts, ${result.simulator_usd:.6f} by the simulator",
        "in phases": phases,
        "declared error": f"${result.declared_error_usd:.6f}",
        "calls": f"{result.calls}, and {result.refused} refused, {len(result.lost)} lost",
        "breaker known": f"after {result.breaker_s:.3f} s (refresh_s is {REFRESH_S:g})",
        "warnings": " ".join(map(str, result.warnings)),
        "verdict": "; ".join(failures) or "kept",
    }
    for name, value in rows.items():
        print(f"{name:<15} {value}")
    print()


def _phases(result: Result) -> tuple[str, ...]:
    return ("all",) if result.outage == "none" else ("before", "during", "after")


if __name__ == "__main__":
    main()
