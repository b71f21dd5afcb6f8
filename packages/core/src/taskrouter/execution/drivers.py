"""The two drivers: they do what the engine asks for, sync or async, and tell it what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing, closing, suppress
from contextvars import Context
from inspect import isawaitable
from typing import Any, Generic, Self, TypeAlias, TypeVar

from taskrouter.decision import Decision
from taskrouter.execution.commands import (
    Answered,
    Call,
    CloseStream,
    Done,
    Emit,
    Ended,
    Event,
    Failed,
    OpenStream,
    Read,
    Wait,
)
from taskrouter.execution.context import in_context
from taskrouter.execution.engine import Abandoned, Engine, Steps
from taskrouter.outcome import Outcome, ResponseView
from taskrouter.ports import StepObserver

C = TypeVar("C")

Pull: TypeAlias = Callable[[Any], Any]
"""Carries out a `Call` or an `OpenStream`: returns a native answer, an iterator of native chunks, or an awaitable."""
View: TypeAlias = Callable[[str, Any], ResponseView]
"""Reads what a model answered, or one chunk of it: (model id, native) -> view."""

_clock = time.monotonic


def drive(steps: Steps, call: Pull, view: View, observer: StepObserver) -> Outcome[Any]:
    """Carry out a step synchronously, to its whole answer."""
    event: Any = None
    try:
        while True:
            command = steps.send(event)
            if isinstance(command, Wait):
                time.sleep(command.seconds)
                event = Done(_clock())
            else:
                assert isinstance(command, Call), command  # noqa: S101 - the engine's contract
                event = _answer(command, call, view, observer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # what the generator returns
    finally:
        _abandon(steps)


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
                event = Done(_clock())
            else:
                assert isinstance(command, Call), command  # noqa: S101 - the engine's contract
                event = await _answer_async(command, call, view, observer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # what the generator returns
    finally:
        _abandon(steps)


def _answer(command: Call, call: Pull, view: View, observer: StepObserver) -> Event:
    try:
        with observer.attached():
            native = call(command)
        return Answered(native, view(command.model, native), _clock())
    except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
        return Failed(error, _clock())


async def _answer_async(
    command: Call, call: Callable[[Call], Awaitable[Any]], view: View, observer: StepObserver
) -> Event:
    try:
        with observer.attached():
            async with asyncio.timeout(command.timeout_s):
                native = await call(command)
        return Answered(native, view(command.model, native), _clock())
    except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
        return Failed(error, _clock())


def _abandon(steps: Steps) -> None:
    """Tell an engine that is still under way that its caller has gone; one that has finished does not notice."""
    with suppress(Abandoned, StopIteration):
        steps.throw(Abandoned(_clock()))


def streamed(engine: Engine) -> Steps:
    """Return the engine's stream; its time begins when the first chunk is asked for."""
    engine.begin(_clock())
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


class RoutedStream(Generic[C]):
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
        observer: StepObserver,
        completed: Callable[[Outcome[Any]], None],
    ) -> None:
        self.decision = decision
        self._result = _Result(completed)
        self._chunks: Generator[C, None, None] = _relay(steps, _Source(call, view, observer), self._result)

    @property
    def outcome(self) -> Outcome[None] | None:
        """The account of the stream, once it has ended."""
        return self._result.outcome

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
                if isinstance(command, Emit):
                    yield command.native
                    event = Done(_clock())
                else:
                    event = source.obey(command)
        except StopIteration as stop:
            result.settle(stop.value)
        finally:
            _abandon(steps)


class _Source:
    """The stream that is open at the moment, stepped inside a private context."""

    def __init__(self, call: Pull, view: View, observer: StepObserver) -> None:
        self._call, self._view, self._observer = call, view, observer
        self._chunks: Iterator[Any] | None = None
        self._context = Context()
        self._model = ""

    def obey(self, command: object) -> Event:
        try:
            match command:
                case Read():
                    return self._read()
                case OpenStream():
                    self._model = command.model
                    self._context = self._observer.context()
                    self._chunks = iter(self._context.run(self._call, command))
                case CloseStream():
                    self.close()
                case Wait():
                    time.sleep(command.seconds)
            return Done(_clock())
        except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
            return Failed(error, _clock())

    def _read(self) -> Event:
        assert self._chunks is not None, "read before open"  # noqa: S101 - the engine's contract
        try:
            native = self._context.run(next, self._chunks)
        except StopIteration:
            return Ended(_clock())
        return Answered(native, self._view(self._model, native), _clock())

    def close(self) -> None:
        chunks, self._chunks = self._chunks, None
        close = getattr(chunks, "close", None)
        if close is not None:
            with suppress(Exception):  # the answer, or the failure, is settled: closing may not change it
                self._context.run(close)


class RoutedAsyncStream(Generic[C]):
    """The same for async code: `async for`, `async with`, `aclose`."""

    def __init__(
        self,
        decision: Decision,
        steps: Steps,
        call: Pull,
        view: View,
        observer: StepObserver,
        completed: Callable[[Outcome[Any]], None],
    ) -> None:
        self.decision = decision
        self._result = _Result(completed)
        self._chunks: AsyncGenerator[C, None] = _relay_async(steps, _AsyncSource(call, view, observer), self._result)

    @property
    def outcome(self) -> Outcome[None] | None:
        """The account of the stream, once it has ended."""
        return self._result.outcome

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> C:
        return await anext(self._chunks)

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
                if isinstance(command, Emit):
                    yield command.native
                    event = Done(_clock())
                else:
                    event = await source.obey(command)
        except StopIteration as stop:
            result.settle(stop.value)
        finally:
            _abandon(steps)


class _AsyncSource:
    """The stream that is open at the moment, stepped inside a private context."""

    def __init__(self, call: Pull, view: View, observer: StepObserver) -> None:
        self._call, self._view, self._observer = call, view, observer
        self._chunks: AsyncIterator[Any] | None = None
        self._context = Context()
        self._model = ""

    async def obey(self, command: object) -> Event:
        try:
            match command:
                case Read():
                    async with asyncio.timeout(command.timeout_s):
                        return await self._read()
                case OpenStream():
                    self._model = command.model
                    self._context = self._observer.context()
                    async with asyncio.timeout(command.timeout_s):
                        self._chunks = aiter(await in_context(self._context, self._open(command)))
                case CloseStream():
                    await self.aclose()
                case Wait():
                    await asyncio.sleep(command.seconds)
            return Done(_clock())
        except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
            return Failed(error, _clock())

    async def _open(self, command: OpenStream) -> Any:
        opened = self._call(command)
        return await opened if isawaitable(opened) else opened

    async def _read(self) -> Event:
        assert self._chunks is not None, "read before open"  # noqa: S101 - the engine's contract
        try:
            native = await in_context(self._context, _next(self._chunks))
        except StopAsyncIteration:
            return Ended(_clock())
        return Answered(native, self._view(self._model, native), _clock())

    async def aclose(self) -> None:
        chunks, self._chunks = self._chunks, None
        close = getattr(chunks, "aclose", None) or getattr(chunks, "close", None)
        if close is None:
            return
        with suppress(Exception):  # the answer, or the failure, is settled: closing may not change it
            await in_context(self._context, _closed(close))


async def _next(chunks: AsyncIterator[Any]) -> Any:
    return await anext(chunks)


async def _closed(close: Callable[[], Any]) -> None:
    if isawaitable(closing_ := close()):
        await closing_
