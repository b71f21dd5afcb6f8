"""Every test runs on every door, and where it names a way to ask, in every way that the door has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.adapters.contract import DOORS, STREAMED, SYNC, WHOLE, Bench, Pair, Way, ways
from tests.adapters.door import Door
from tests.standins import Vendors

WAYS: dict[str, Sequence[Way]] = {
    "way": (*WHOLE, *STREAMED),
    "whole": WHOLE,
    "streamed": STREAMED,
    "sync": SYNC,
}
"""By the name of a test's argument: the ways that it is about."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, among in WAYS.items():
        if name in metafunc.fixturenames:
            cases = [(door, way) for door in DOORS for way in ways(door, among)]
            metafunc.parametrize(("door", name), cases, ids=[f"{door.name}-{way}" for door, way in cases])
            return
    metafunc.parametrize("door", DOORS, ids=[door.name for door in DOORS])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests of ways that no chosen door has out, instead of skipping them: nothing is missing."""
    here = Path(__file__).parent
    idle = [item for item in items if item.path.parent == here and "NOTSET" in item.name]  # as pytest names no case
    if idle:
        config.hook.pytest_deselected(items=idle)
        items[:] = [item for item in items if item not in idle]


@pytest.fixture
def bench(door: Door, vendors: Vendors) -> Iterator[Bench]:
    bench = Bench(door, vendors)
    yield bench
    bench.check_wires()


@pytest.fixture(params=[0, 1], ids=["there", "back"])
def pair(door: Door, request: pytest.FixtureRequest) -> Pair:
    """Both vendors, in either order."""
    first, second = door.wires
    return (second, first) if request.param else (first, second)
