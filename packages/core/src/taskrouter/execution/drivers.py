"""The two drivers of whole answers: they do what the engine asks for, sync or async, and tell it what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from taskrouter.execution.commands import (
    Answered,
    Call,
    Done,
    Event,
    Failed,
    Wait,
)
from taskrouter.execution.engine import Abandoned, Steps
from taskrouter.outcome import Outcome, ResponseView
from taskrouter.ports import StepObserver

C = TypeVar("C")

Pull: TypeAlias = Callable[[Any], Any]
"""Carries out a `Call` or an `OpenStream`: returns a native answer, an iterator of native chunks, or an awaitable."""
View: TypeAlias = Callable[[str, Any], ResponseView]
"""Reads what a model answered, or one chunk of it: (model id, native) -> view."""

clock = time.monotonic


def drive(steps: Steps, call: Pull, view: View, observer: StepObserver) -> Outcome[Any]:
    """Carry out a step synchronously, to its whole answer."""
    event: Any = None
    try:
        while True:
            command = steps.send(event)
            if isinstance(command, Wait):
                time.sleep(command.seconds)
                event = Done(clock())
            else:
                assert isinstance(command, Call), command  # noqa: S101 - the engine's contract
                event = _answer(command, call, view, observer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # what the generator returns
    finally:
        abandon(steps)


async def drive_async(
    steps: Steps, call: Callable[[Call], Awaitable[Any]], view: View, observer: StepObserver
) -> Outcome[Any]:
    """Carry out a step asynchronously, to its whole answer."""
    event: Any = None
    try:
        while True:
            command = steps.send(event)
            if isinstance(command, Wait):
                await asyncio.sleep(command.seconds)
                event = Done(clock())
            else:
                assert isinstance(command, Call), command  # noqa: S101 - the engine's contract
                event = await _answer_async(command, call, view, observer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # what the generator returns
    finally:
        abandon(steps)


def _answer(command: Call, call: Pull, view: View, observer: StepObserver) -> Event:
    try:
        with observer.attached():
            native = call(command)
        return Answered(native, view(command.model, native), clock())
    except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
        return Failed(error, clock())


async def _answer_async(
    command: Call, call: Callable[[Call], Awaitable[Any]], view: View, observer: StepObserver
) -> Event:
    try:
        with observer.attached():
            async with asyncio.timeout(command.timeout_s):
                native = await call(command)
        return Answered(native, view(command.model, native), clock())
    except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
        return Failed(error, clock())


def abandon(steps: Steps) -> None:
    """Tell an engine that is still under way that its caller has gone; one that has finished does not notice."""
    with suppress(Abandoned, StopIteration):
        steps.throw(Abandoned(clock()))
