"""Stepping a stream inside a private context, so that no span is ever attached across a `yield`.

A span attached in a generator would leak into whoever reads the stream, or be detached in the wrong context when the
reader stops early, from another task, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_NOTHING = object()


@coroutine
def in_context(context: Context, work: Coroutine[Any, Any, T], awaited: Any = _NOTHING) -> Generator[Any, Any, T]:
    """Await `work` with each of its steps run in `context`; `awaited` is what it waits for if it was begun before."""
    step: Callable[[Any], Any] = work.send
    given: Any = None
    while True:
        if awaited is _NOTHING:
            try:
                awaited = context.run(step, given)
            except StopIteration as stop:
                result: T = stop.value
                return result
        try:
            step, given = work.send, (yield awaited)
        except GeneratorExit:
            context.run(work.close)
            raise
        except BaseException as error:  # noqa: BLE001 - it is thrown on into `work`, cancellation above all
            step, given = work.throw, error
        awaited = _NOTHING
