"""Every test runs at every door, the core's own among them; an HTTP client's instrumentation runs along."""

from __future__ import annotations

import gc
import inspect
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from opentelemetry.trace import Tracer
from tests.adapters.contract import STREAMED, SYNC, WHOLE, Pair, Way, ways
from tests.adapters.door import Door
from tests.observability.scene import EVERY, POST, Scene
from tests.standins import Vendors

WAYS: dict[str, Sequence[Way]] = {"way": (*WHOLE, *STREAMED), "whole": WHOLE, "streamed": STREAMED, "sync": SYNC}
"""By the name of a test's argument: the ways that it is about."""
COMPLAINTS = ("opentelemetry", "taskrouter.observability")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "door" not in metafunc.fixturenames:
        return
    for name, among in WAYS.items():
        if name in metafunc.fixturenames:
            cases = [(door, way) for door in EVERY for way in ways(door, among)]
            metafunc.parametrize(("door", name), cases, ids=[f"{door.name}-{way}" for door, way in cases])
            return
    waits = inspect.iscoroutinefunction(metafunc.function)  # what does not wait can only ask doors that block
    doors = [door for door in EVERY if waits or "sync" not in door.lacks]
    metafunc.parametrize("door", doors, ids=[door.name for door in doors])


@pytest.fixture
def scene(
    door: Door, vendors: Vendors, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """A door and its vendors; at the end no span is open, and nobody has complained of a context or a span."""
    scene = Scene(door, vendors)
    instrument(monkeypatch, scene.tracer)
    gc.freeze()  # what was there before: four frameworks, which the collector else goes through again and again
    with caplog.at_level(logging.WARNING):
        yield scene
    gc.unfreeze()
    assert scene.unended.names == {}
    assert [r.getMessage() for r in caplog.get_records("call") if complains(r)] == []
    scene.check_wires()


def complains(record: logging.LogRecord) -> bool:
    """Whether a record tells of a span or a context, or of a task whose failure nobody has seen."""
    return record.name.startswith(COMPLAINTS) or (record.name == "asyncio" and record.levelno >= logging.ERROR)


@pytest.fixture
def pair(door: Door) -> Pair:
    """Both vendors."""
    return door.wires


def instrument(monkeypatch: pytest.MonkeyPatch, tracer: Tracer) -> None:
    """Do what an instrumentation of the HTTP client does: a span around each request, beneath the current one."""
    send, asend = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def handle(self: Any, request: httpx.Request) -> httpx.Response:
        with tracer.start_as_current_span(POST):
            return send(self, request)

    async def ahandle(self: Any, request: httpx.Request) -> httpx.Response:
        with tracer.start_as_current_span(POST):
            return await asend(self, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", ahandle)
