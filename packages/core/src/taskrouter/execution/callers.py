"""What callers hand to `run`: a call that turns out to be asynchronous is found at once, and told what to use."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutine
from typing import Any

from taskrouter.errors import LocalFailure
from taskrouter.execution.commands import Call, OpenStream


def synchronous(call: Callable[[str], Any], *, instead: str) -> Callable[[Call | OpenStream], Any]:
    """Return what carries out a command with the caller's function.

    Args:
        call: the caller's function from a model's id to its answer, or to its stream.
        instead: the method for asynchronous functions.
    """

    def carry_out(command: Call | OpenStream) -> Any:
        native = call(command.model)
        if iscoroutine(native):
            native.close()  # it would never be awaited
            raise LocalFailure(command.model, detail=f"was not called: call returned a coroutine: use {instead}")
        return native

    return carry_out
