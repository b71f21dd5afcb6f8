"""What it takes to get past a dead model, with candidates configured as users make them, in every framework.

    python benchmarks/failover.py [--rounds 20] [--json]

Both vendors are stand-ins on this machine. The first candidate answers every request with 500. For each framework:
how many requests the dead one gets and how much longer the call takes than one whose first candidate is well, calls of
both kinds in turn; and beside it the same candidate without the router, until its own client gives up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.adapters.contract import DOORS
from tests.adapters.door import Door, Request, User
from tests.standins import Vendors, serve

TARGET_MS = 250.0


async def measured(door: Door, vendors: Vendors, rounds: int) -> dict[str, float]:
    """Measure one framework."""
    first, second = door.wires
    candidates = {wire.id: door.candidate(wire, vendors.url) for wire in (first, second)}
    breakers = {"health": {"enabled": False}}  # else the dead one is left out after some rounds
    routed = door.routed(candidates, incumbent=first.id, config={"execution": {"retries": 0}, **breakers})

    def asked() -> Request:
        return Request(messages=door.messages([User("Hello")]))

    added: list[float] = []
    requests = 0
    for number in range(rounds + 3):
        vendors.reset()
        well_s = await _timed(door.aask(routed, asked()))
        vendors.fail(first.model, "error")
        failing_s = await _timed(door.aask(routed, asked()))
        if number >= 3:
            added.append(failing_s - well_s)
            requests = max(requests, [r.model for r in vendors.received].count(first.model) - 1)
    vendors.reset()
    vendors.fail(first.model, "error")
    alone_s = await _timed(_gives_up(door, candidates[first.id], asked()))
    return {
        "requests": requests,
        "added_ms": statistics.median(added) * 1e3,
        "worst_ms": max(added) * 1e3,
        "alone_requests": len(vendors.received),
        "alone_s": alone_s,
    }


async def _timed(call: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await call
    return time.perf_counter() - began


async def _gives_up(door: Door, candidate: Any, request: Request) -> None:
    try:
        await door.aask(candidate, request)
    except Exception:  # noqa: BLE001 - each framework has its own
        return
    raise AssertionError("the dead model has answered")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    with serve() as vendors:
        found = {door.name: asyncio.run(measured(door, vendors, arguments.rounds)) for door in DOORS}
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    print(f"the first candidate is dead (target: 1 request, {TARGET_MS:.0f} ms added)")
    for name, one in found.items():
        routed = f"{one['requests']:.0f} request, added {one['added_ms']:.1f} ms (worst {one['worst_ms']:.1f})"
        alone = f"{one['alone_requests']:.0f} requests, gives up after {one['alone_s']:.1f} s"
        print(f"  {name:<16} {routed}; alone: {alone}")


if __name__ == "__main__":
    main()
