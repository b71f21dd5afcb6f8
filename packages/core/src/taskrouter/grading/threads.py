"""Runs code that may hang in a thread that the program does not wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T]) -> Future[T]:
    """Run `work` in a daemon thread and return its future.

    A pool's threads are joined when the program ends, so one that hangs would keep it from ending.
    """
    future: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it, so its result can be set
        try:
            result = context.run(work)
        except BaseException as error:  # noqa: BLE001 - the future carries it, also `SystemExit`
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, daemon=True, name="taskrouter-grading").start()
    return future
