"""How answers travel: at once, part by part, cut off, or held back until the test says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Gate:
    """Holds a model's answers back; see `Vendors.holding`."""

    def __init__(self, *, at_open: bool) -> None:
        self.at_open = at_open
        """Whether a stream waits before its first event."""
        self.reached = threading.Event()
        """An answer waits here."""
        self.left = threading.Event()
        """A client has hung up while its answer waited here."""
        self._opened = threading.Event()

    def open(self) -> None:
        """Let the answers that wait go on, and those to come pass."""
        self._opened.set()

    async def wait(self, receive: Receive) -> None:
        """Wait until it is opened, or the client has hung up."""
        self.reached.set()
        gone = asyncio.ensure_future(_gone(receive))
        opened = asyncio.ensure_future(asyncio.to_thread(self._opened.wait))
        await asyncio.wait([gone, opened], return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.left.set()
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Streamed(Response):
    """Sends its parts one by one.

    Args:
        parts: what is sent.
        media_type: of the whole.
        gate: what the first part or the second half waits at.
        breaks: whether the connection is closed before the answer is complete, which it never says to be.
    """

    def __init__(
        self, parts: Sequence[bytes], media_type: str | None, gate: Gate | None = None, *, breaks: bool = False
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._parts, self._gate, self._breaks = parts, gate, breaks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for place, part in enumerate(self._parts):
            if self._gate is not None and place == (0 if self._gate.at_open else len(self._parts) // 2):
                await self._gate.wait(receive)
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if not self._breaks:  # without this uvicorn closes the connection
            await send({"type": "http.response.body", "body": b""})
