"""The two drivers of whole answers: they do what the engine asks for, sync or async, and tell it what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

from taskrouter.execution.commands import (
    Abandoned,
    Answered,
    Await,
    Call,
    CallEnd,
    Cancel,
    Command,
    Done,
    Event,
    Failed,
    Reserve,
    Reserved,
    Start,
    Wait,
)
from taskrouter.execution.engine import Steps
from taskrouter.execution.parallel import Handover, Tasks, Threads
from taskrouter.outcome import Outcome, ResponseView

Pull: TypeAlias = Callable[[Any], Any]
"""Carries out a `Call` or an `OpenStream`: returns a native answer, an iterator of native chunks, or an awaitable."""
View: TypeAlias = Callable[[str, Any], ResponseView]
"""Reads what a model answered, or one chunk of it: (endpoint id, native) -> view."""

clock = time.monotonic


def drive(steps: Steps, call: Pull, view: View) -> Outcome[Any]:
    """Carry out a step synchronously, to its whole answer."""
    event: Any = None
    threads: Threads | None = None
    try:
        while True:
            command = steps.send(event)
            if isinstance(command, Call):
                with command.visit.attached():
                    event = _answer(command, call, view)
            elif (simple := obey(command)) is not None:
                event = simple
            else:
                threads = threads or Threads(lambda command: _answer(command, call, view))
                event = beside(command, threads)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # what the generator returns
    except BaseException:  # an interruption too: what is open must be closed and paid for
        abandon(steps)
        raise


async def drive_async(steps: Steps, call: Callable[[Call], Awaitable[Any]], view: View) -> Outcome[Any]:
    """Carry out a step asynchronously, to its whole answer."""
    event: Any = None
    tasks: Tasks | None = None
    try:
        while True:
            command = steps.send(event)
            if isinstance(command, Call):
                with command.visit.attached():
                    event = await _answer_async(command, call, view)
            elif (simple := await obey_async(command)) is not None:
                event = simple
            else:
                tasks = tasks or Tasks(lambda command: _answer_async(command, call, view))
                event = await beside_async(command, tasks)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # what the generator returns
    except BaseException as error:
        if tasks is not None and isinstance(error, GeneratorExit):
            tasks.drop()  # a coroutine that is thrown away may not wait any more
        abandon(steps)
        raise
    finally:
        if tasks is not None:
            await tasks.aclose()


def obey(command: Command) -> Event | None:
    """Carry out what needs no call; None: it is something else."""
    match command:
        case Wait():
            time.sleep(command.seconds)
            return Done(clock())
        case Reserve():
            result = command.work()
            return Reserved(result, clock())
    return None


async def obey_async(command: Command) -> Event | None:
    """Carry out what needs no call; None: it is something else."""
    match command:
        case Wait():
            await asyncio.sleep(command.seconds)
            return Done(clock())
        case Reserve():
            result = await Handover(command).result() if command.blocking else command.work()
            return Reserved(result, clock())
    return None


def _answer(command: Call, call: Pull, view: View) -> CallEnd:
    try:
        native = call(command)
        return Answered(native, view(command.endpoint.id, native), clock())
    except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
        return Failed(error, clock())


async def _answer_async(command: Call, call: Callable[[Call], Awaitable[Any]], view: View) -> CallEnd:
    try:
        async with asyncio.timeout(command.timeout_s):
            native = await call(command)
        return Answered(native, view(command.endpoint.id, native), clock())
    except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
        return Failed(error, clock())


def beside(command: Command, threads: Threads) -> Event:
    """Carry out what concerns calls beside one another."""
    match command:
        case Start():
            threads.start(command.call)
        case Await():
            return threads.first(command.timeout_s) or Done(clock())
        case Cancel():
            threads.cancel(command.index)
    return Done(clock())


async def beside_async(command: Command, tasks: Tasks) -> Event:
    """Carry out what concerns calls beside one another."""
    match command:
        case Start():
            tasks.start(command.call)
        case Await():
            return await tasks.first(command.timeout_s) or Done(clock())
        case Cancel():
            await tasks.cancel(command.index)
    return Done(clock())


def abandon(steps: Steps) -> None:
    """Tell an engine that is still under way that its caller has gone; one that has finished does not notice."""
    with suppress(Abandoned, StopIteration):
        steps.throw(Abandoned(clock()))
