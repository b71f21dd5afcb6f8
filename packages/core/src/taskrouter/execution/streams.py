"""Streams as their readers hold them: iterators, sync and async, driven by the engine one chunk at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing, closing, suppress
from contextvars import Context
from inspect import isawaitable
from typing import Any, Generic, Self, TypeVar

from taskrouter.decision import Decision
from taskrouter.execution.commands import (
    Answered,
    Await,
    Cancel,
    CloseStream,
    Command,
    Done,
    Emit,
    Ended,
    Event,
    Failed,
    OpenStream,
    Read,
    Relay,
    Start,
)
from taskrouter.execution.context import in_context
from taskrouter.execution.drivers import Pull, View, abandon, beside, beside_async, clock, obey, obey_async
from taskrouter.execution.engine import Engine, Steps
from taskrouter.execution.gathering import closed, gathered, gathered_async
from taskrouter.execution.parallel import Tasks, Threads
from taskrouter.execution.waits import Waits
from taskrouter.outcome import Outcome

C = TypeVar("C")


def streamed(engine: Engine) -> Steps:
    """Return the engine's stream; its time begins when the first chunk is asked for."""
    engine.begin(clock())
    return (yield from engine.stream())


class _Result:
    """What a stream's generator leaves behind.

    The generator must not hold the stream: a stream dropped without closing would then wait, its connection and spans
    open, for the cyclic garbage collector.
    """

    def __init__(self, completed: Callable[[Outcome[Any]], None]) -> None:
        self.outcome: Outcome[None] | None = None
        self._completed = completed

    def settle(self, outcome: Outcome[Any]) -> None:
        self.outcome = outcome
        self._completed(outcome)


class _Accounted:
    """What both kinds of stream have to say for themselves."""

    def __init__(self, decision: Decision, completed: Callable[[Outcome[Any]], None]) -> None:
        self.decision = decision
        self._result = _Result(completed)

    @property
    def outcome(self) -> Outcome[None] | None:
        """The account of the stream, once it has ended."""
        return self._result.outcome


class RoutedStream(_Accounted, Generic[C]):
    """An iterator over the native chunks of one answer, whichever model gives it.

    Close it, or use it as a context manager, to stop early: the connection is closed and the call is booked as
    cancelled. `outcome` is there once the stream has ended.
    """

    def __init__(
        self,
        decision: Decision,
        steps: Steps,
        call: Pull,
        view: View,
        completed: Callable[[Outcome[Any]], None],
    ) -> None:
        super().__init__(decision, completed)
        self._chunks: Generator[C, None, None] = _relay(steps, _Source(call, view), self._result)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> C:
        return next(self._chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading and close the connection."""
        self._chunks.close()


def _relay(steps: Steps, source: _Source, result: _Result) -> Generator[Any, None, None]:
    event: Any = None
    with closing(source):
        try:
            while True:
                command = steps.send(event)
                if isinstance(command, Relay):
                    yield command.native
                    event = source.read()
                elif isinstance(command, Read):
                    event = source.read()
                elif isinstance(command, Emit):
                    yield command.native
                    event = Done(clock())
                else:
                    event = obey(command) or source.obey(command)
        except StopIteration as stop:
            result.settle(stop.value)
        finally:
            abandon(steps)


class _Source:
    """The stream that is open at the moment, stepped inside a private context; or those read in the background."""

    def __init__(self, call: Pull, view: View) -> None:
        self._call, self._view = call, view
        self._opened: Any = None
        """What the client returned; its iterator may be another object, which cannot close the connection."""
        self._chunks: Iterator[Any] | None = None
        self._context = Context()
        self._endpoint_id = ""
        self._threads: Threads | None = None

    def obey(self, command: Command) -> Event:
        if isinstance(command, Start | Await | Cancel):
            self._threads = self._threads or Threads(lambda command: gathered(command, self._call, self._view))
            return beside(command, self._threads)
        try:
            match command:
                case OpenStream():
                    self._endpoint_id = command.endpoint.id
                    self._context = command.visit.context()
                    self._opened = self._context.run(self._call, command)
                    self._chunks = iter(self._opened)
                case CloseStream():
                    self.close()
            return Done(clock())
        except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
            return Failed(error, clock())

    def read(self) -> Event:
        try:
            assert self._chunks is not None, "read before open"  # noqa: S101 - the engine's contract
            try:
                native = self._context.run(next, self._chunks)
            except StopIteration:
                return Ended(clock())
            return Answered(native, self._view(self._endpoint_id, native), clock())
        except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
            return Failed(error, clock())

    def close(self) -> None:
        chunks, opened = self._chunks, self._opened
        self._chunks = self._opened = None
        for stream in (chunks,) if chunks is opened else (chunks, opened):
            close = getattr(stream, "close", None)
            if close is not None:
                with suppress(Exception):  # the answer, or the failure, is settled: closing may not change it
                    self._context.run(close)


class RoutedAsyncStream(_Accounted, Generic[C]):
    """The same for async code: `async for`, `async with`, `aclose`."""

    def __init__(
        self,
        decision: Decision,
        steps: Steps,
        call: Pull,
        view: View,
        completed: Callable[[Outcome[Any]], None],
    ) -> None:
        super().__init__(decision, completed)
        self._chunks: AsyncGenerator[C, None] = _relay_async(steps, _AsyncSource(call, view), self._result)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[C]:
        return anext(self._chunks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop reading and close the connection."""
        await self._chunks.aclose()


async def _relay_async(steps: Steps, source: _AsyncSource, result: _Result) -> AsyncGenerator[Any, None]:
    event: Any = None
    async with aclosing(source):
        try:
            while True:
                command = steps.send(event)
                if isinstance(command, Relay):
                    yield command.native
                    event = await source.read(command.timeout_s)
                elif isinstance(command, Read):
                    event = await source.read(command.timeout_s)
                elif isinstance(command, Emit):
                    yield command.native
                    event = Done(clock())
                else:
                    event = await obey_async(command) or await source.obey(command)
        except StopIteration as stop:
            result.settle(stop.value)
        except GeneratorExit:
            source.drop()  # from Python 3.13 on it may have been thrown away at an await: nothing can be awaited then
            raise
        finally:
            abandon(steps)


class _AsyncSource:
    """The stream that is open at the moment, stepped inside a private context; or those read in the background."""

    def __init__(self, call: Pull, view: View) -> None:
        self._call, self._view = call, view
        self._opened: Any = None
        self._chunks: AsyncIterator[Any] | None = None
        self._context = Context()
        self._waits = Waits()
        self._endpoint_id = ""
        self._tasks: Tasks | None = None

    async def obey(self, command: Command) -> Event:
        if isinstance(command, Start | Await | Cancel):
            self._tasks = self._tasks or Tasks(lambda command: gathered_async(command, self._call, self._view))
            return await beside_async(command, self._tasks)
        try:
            match command:
                case OpenStream():
                    self._endpoint_id = command.endpoint.id
                    self._context = command.visit.context()
                    async with asyncio.timeout(command.timeout_s):
                        self._opened = await in_context(self._context, self._open(command))
                    self._chunks = aiter(self._opened)
                case CloseStream():
                    await self.aclose()
            return Done(clock())
        except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
            return Failed(error, clock())

    async def _open(self, command: OpenStream) -> Any:
        opened = self._call(command)
        return await opened if isawaitable(opened) else opened

    async def read(self, timeout_s: float) -> Event:
        try:
            assert self._chunks is not None, "read before open"  # noqa: S101 - the engine's contract
            try:
                work: Any = self._context.run(anext, self._chunks)
                if not hasattr(work, "send"):  # what is no generator may return something that can only be awaited
                    work = _awaited(work)
                try:
                    awaited = self._context.run(work.send, None)
                except StopIteration as stop:  # it was there already: no clock is needed
                    native = stop.value
                else:
                    with self._waits.until(timeout_s):
                        native = await in_context(self._context, work, awaited)
            except StopAsyncIteration:
                return Ended(clock())
            return Answered(native, self._view(self._endpoint_id, native), clock())
        except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
            return Failed(error, clock())

    def drop(self) -> None:
        """Give up what is read in the background, and wait for nothing."""
        if self._tasks is not None:
            self._tasks.drop()

    async def aclose(self) -> None:
        self._waits.close()
        if self._tasks is not None:
            await self._tasks.aclose()
        chunks, opened = self._chunks, self._opened
        self._chunks = self._opened = None
        for stream in (chunks,) if chunks is opened else (chunks, opened):
            close = getattr(stream, "aclose", None) or getattr(stream, "close", None)
            if close is not None:
                await in_context(self._context, closed(close))


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
