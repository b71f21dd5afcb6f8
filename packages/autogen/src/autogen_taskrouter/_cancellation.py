"""AutoGen's cancellation tokens, obeyed wherever a call waits, whatever a candidate makes of them."""

from __future__ import annotations

import asyncio
from types import TracebackType

from autogen_core import CancellationToken


class Cancellable:
    """Lets a token cancel what is awaited inside its `with` blocks.

    A candidate may heed its token only at some places (Anthropic's: until the stream is open), and between two attempts
    nobody would. The caller's task is not left cancelled: as with AutoGen's own clients it sees a `CancelledError`.

    Args:
        token: the caller's, if it gave one.
    """

    def __init__(self, token: CancellationToken | None) -> None:
        self._token = token
        self._task: asyncio.Task[object] | None = None
        """Who waits, if anybody does."""
        self._cancelled = False
        if token is not None:
            token.add_callback(self._cancel)

    def __enter__(self) -> None:
        if self._token is None:
            return
        if self._token.is_cancelled():
            raise asyncio.CancelledError
        self._task = asyncio.current_task()

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        task, self._task = self._task, None
        if not self._cancelled or task is None:
            return
        self._cancelled = False
        task.uncancel()
        if not isinstance(error, asyncio.CancelledError):
            raise asyncio.CancelledError from error

    def _cancel(self) -> None:
        # The token holds its lock while it calls this.
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()
