"""Three simulated models of different skill, and suites of sums for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.core.calibration.court import Court

from taskrouter import Router, simulator
from taskrouter.simulator import RunningServer

PRICES = {"cheap": 0.1, "fair": 0.5, "dear": 5.0}
SKILLS = {"cheap": 0.5, "fair": 1.0, "dear": 1.0}

Suites: TypeAlias = Callable[..., Path]
Routers: TypeAlias = Callable[..., Router]


@pytest.fixture
def models() -> Iterator[RunningServer]:
    """`cheap` is right half of the time; `fair` and `dear`, the incumbent, always."""
    simulated = [
        {"id": name, "skill": SKILLS[name], "input_usd_per_million": price, "output_usd_per_million": 4 * price}
        for name, price in PRICES.items()
    ]
    with simulator.serve({"speed": 0.0, "record_content": True, "models": simulated}) as server:
        yield server


@pytest.fixture
def table(models: RunningServer) -> Callable[..., dict[str, Any]]:
    """Return a configuration with these models; `cards` changes single ones, `without` leaves some out."""

    def made(cards: dict[str, Any] | None = None, without: tuple[str, ...] = (), **config: Any) -> dict[str, Any]:
        pool = [
            {
                "id": name,
                "base_url": models.base_url,
                "input_usd_per_million": price,
                "output_usd_per_million": 4 * price,
                "context_tokens": 128_000,
                "capabilities": {"tools": True, "json_schema": True, "vision": False},
                **(cards or {}).get(name, {}),
            }
            for name, price in PRICES.items()
            if name not in without
        ]
        execution = {"retries": 0}
        return {"router": {"incumbent": "dear", "seed": 1}, "models": pool, "execution": execution, **config}

    return made


@pytest.fixture
def router(table: Callable[..., dict[str, Any]]) -> Iterator[Routers]:
    """Make routers that are closed at the end."""
    made: list[Router] = []

    def make(**config: Any) -> Router:
        made.append(Router.from_config(table(**config)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def sums(tmp_path: Path) -> Suites:
    """Write a suite of sums; each case is a step of the node `adder`."""

    def write(count: int, *, name: str = "cases.jsonl", first: int = 1, **extra: Any) -> Path:
        cases = [
            {
                "id": f"sum-{i}",
                "messages": [{"role": "user", "content": f"What is {i} + {i + 7}?"}],
                "context": {"node": "adder"},
                "expected": 2 * i + 7,
                "grader": {"kind": "numeric"},
                **extra,
            }
            for i in range(first, first + count)
        ]
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(case)}\n" for case in cases), encoding="utf-8")
        return path

    return write


@pytest.fixture
def court() -> Iterator[Court]:
    """A judge behind HTTP that says what it is told to."""
    server = Court()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
