"""The grader `python`: a function of the user's own, which may raise and may hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, wait
from importlib import import_module
from inspect import iscoroutinefunction
from traceback import extract_tb
from typing import Any

from taskrouter.errors import ConfigurationError
from taskrouter.grading.cases import Case, Grade, Graded, Skip
from taskrouter.grading.kinds import Own
from taskrouter.grading.threads import in_thread
from taskrouter.outcome import ResponseView

MAX_HANGING = 3
"""Calls of one function that may hang: they cannot be ended, and each keeps a thread."""


class OwnGrader:
    """Calls a function with the case and the answer, in a thread.

    Args:
        config: names the function.

    Raises:
        ConfigurationError: it cannot be imported, or is no plain function.
    """

    def __init__(self, config: Own) -> None:
        self._config = config
        self._function = _imported(config.function)
        self._hanging = 0

    def grade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        if (left := self._given_up()) is not None:
            return left
        future = in_thread(lambda: self._function(case, view))
        wait([future], self._config.timeout_s)
        return self._result(future)

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer without blocking."""
        if (left := self._given_up()) is not None:
            return left
        future = in_thread(lambda: self._function(case, view))
        wrapped = asyncio.wrap_future(future)
        await asyncio.wait([wrapped], timeout=self._config.timeout_s)
        wrapped.cancel()
        return self._result(future)

    def _result(self, future: Future[Any]) -> Graded:
        if not future.done():
            return self._timed_out()
        error = future.exception()
        return self._read(future.result()) if error is None else self._raised(error)

    def _given_up(self) -> Skip | None:
        if self._hanging < MAX_HANGING:
            return None
        return Skip(
            reason="given_up", detail=f"{self._config.function} hung {self._hanging} times and is not called again"
        )

    def _timed_out(self) -> Skip:
        self._hanging += 1
        return Skip(reason="timed_out", detail=f"{self._config.function} took longer than {self._config.timeout_s:g} s")

    def _raised(self, error: BaseException) -> Skip:
        # Not the error's text: it may quote the answer.
        trace = extract_tb(error.__traceback__)
        place = f" at {trace[-1].filename}:{trace[-1].lineno}" if trace else ""
        return Skip(reason="raised", detail=f"{self._config.function} raised {type(error).__name__}{place}")

    def _read(self, said: Any) -> Graded:
        if isinstance(said, int | float) and 0.0 <= said <= 1.0:
            return Grade(score=float(said))
        what = f"a number outside 0 to 1: {said!r}" if isinstance(said, int | float) else f"a {type(said).__name__}"
        return Skip(reason="bad_label", detail=f"{self._config.function} returned {what}")


def _imported(path: str) -> Callable[[Case, ResponseView], Any]:
    module, _, name = path.partition(":")
    try:
        function = getattr(import_module(module), name)
    except Exception as error:
        raise ConfigurationError(
            f"the grader {path!r} cannot be imported ({type(error).__name__}); it is 'module:function', and the module "
            "must be importable from here"
        ) from error
    if not callable(function) or isinstance(function, type) or iscoroutinefunction(function):
        raise ConfigurationError(f"the grader {path!r} must be a plain function")
    return function  # type: ignore[no-any-return] # the user's own
