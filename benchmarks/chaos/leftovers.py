"""What a process holds: threads, sockets, memory, connections. Linux only: it reads /proc."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import httpx


class Resources(NamedTuple):
    """What a process holds."""

    threads: int
    sockets: int

    @classmethod
    def now(cls) -> Resources:
        """Count them."""
        targets = [_target(descriptor) for descriptor in Path("/proc/self/fd").iterdir()]
        return cls(threading.active_count(), sum(target.startswith("socket:") for target in targets))


class Memory(NamedTuple):
    """Memory at one moment."""

    traced_kib: float
    blocks: int
    """Allocated by Python."""
    rss_mib: float

    @classmethod
    def now(cls) -> Memory:
        """Measure, after a collection."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return cls(
            tracemalloc.get_traced_memory()[0] / 1024,
            sys.getallocatedblocks(),
            pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        )


def connections(url: str) -> int:
    """Return how many connections a simulator has, but for the one that asks; wait a little for those that close."""
    with httpx.Client(base_url=url.removesuffix("/v1")) as client:
        for _ in range(100):
            count = int(client.get("/sim/connections").json()["open"]) - 1
            if count <= 0:
                break
            time.sleep(0.02)
    return count


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # that of the listing itself
        return ""
