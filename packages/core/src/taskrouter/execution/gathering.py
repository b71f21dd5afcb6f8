"""Streams that are read to their end in the background, sync in a thread and async in a task.

What has arrived is written down where the engine can look at it: a stream that is given up is charged for that part,
and one that still brings something is not given up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any

from taskrouter.execution.commands import Answered, CallEnd, Failed, Gather
from taskrouter.execution.drivers import Pull, View, clock
from taskrouter.execution.views import no_view
from taskrouter.outcome import ResponseView

_STREAM: ContextVar[int | None] = ContextVar("taskrouter_background_stream", default=None)


def background_stream() -> int | None:
    """Return what tells the stream that is read in the background here from others; None: the one in the foreground."""
    return _STREAM.get()


def gathered(command: Gather, call: Pull, view: View) -> CallEnd:
    """Read a stream to its end, or until nobody wants the rest; in a context of its own."""
    _STREAM.set(id(command.into))
    opened = chunks = None
    try:
        opened = call(command)
        chunks = iter(opened)
        for native in chunks:
            _add(command, native, view)
            if command.into.given_up:
                break
        return _all(command)
    except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
        return Failed(error, clock())
    finally:
        for stream in (chunks,) if chunks is opened else (chunks, opened):
            if (close := getattr(stream, "close", None)) is not None:
                with suppress(Exception):  # the answer, or the failure, is settled: closing may not change it
                    close()


async def gathered_async(command: Gather, call: Pull, view: View) -> CallEnd:
    """Do the same in a task, which is cancelled when nobody wants the rest."""
    _STREAM.set(id(command.into))
    opened = chunks = None
    try:
        opened = call(command)
        opened = await opened if isawaitable(opened) else opened
        chunks = aiter(opened)
        async for native in chunks:
            _add(command, native, view)
        return _all(command)
    except Exception as error:  # noqa: BLE001 - the engine classifies whatever a client raises
        return Failed(error, clock())
    finally:
        for stream in (chunks,) if chunks is opened else (chunks, opened):
            if (close := getattr(stream, "aclose", None) or getattr(stream, "close", None)) is not None:
                await closed(close)


async def closed(close: Callable[[], Any]) -> None:
    """Close a stream, however that is done."""
    with suppress(Exception):  # the answer, or the failure, is settled: closing may not change it
        if isawaitable(closing := close()):
            await closing


def _add(command: Gather, native: Any, view: View) -> None:
    read = view(command.endpoint.id, native)
    if not isinstance(read, ResponseView):
        command.into.partial.began = True
        raise no_view(read, command.model)
    command.into.add(native, read, clock())


def _all(command: Gather) -> Answered:
    return Answered(tuple(command.into.chunks), command.into.partial.view(), clock())
