"""Asynchronous clients, one set per event loop, closed by the loop they belong to.

A client's connections live in one event loop. Two `asyncio.run` calls on one client make the second fail with "Event
loop is closed", which says nothing of the provider. So every loop gets clients of its own; they are held by an
asynchronous generator, which `asyncio.run` closes in its own loop when it shuts down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

C = TypeVar("C")


class PerLoop(Generic[C]):
    """Clients by key for each running loop.

    Args:
        close: closes a client, in its loop.
    """

    def __init__(self, close: Callable[[C], Awaitable[None]]) -> None:
        self._close = close
        self._shelves: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[dict[str, C], None]] = (
            WeakKeyDictionary()
        )
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, C]] = WeakKeyDictionary()

    async def get(self, key: str, make: Callable[[], C]) -> C:
        """Return the running loop's client of that key, made on first use."""
        loop = asyncio.get_running_loop()
        clients = self._clients.get(loop)
        if clients is None:
            shelf = self._shelf()
            self._shelves[loop] = shelf
            clients = self._clients[loop] = await anext(shelf)
        if key not in clients:
            clients[key] = make()
        return clients[key]

    async def aclose(self) -> None:
        """Close the running loop's clients."""
        loop = asyncio.get_running_loop()
        self._clients.pop(loop, None)
        if shelf := self._shelves.pop(loop, None):
            await shelf.aclose()

    async def _shelf(self) -> AsyncGenerator[dict[str, C], None]:
        clients: dict[str, C] = {}
        try:
            yield clients
        finally:
            for client in clients.values():
                await self._close(client)
            clients.clear()
