"""The connections of clients: how many are open, and waiting on one until the client hangs up or the server stops."""

from __future__ import annotations

import asyncio

from taskrouter.simulator.journal import Journal


class Line:
    """The connection of one client. Used by the server's thread alone."""

    def __init__(self, number: int, ended: asyncio.Future[None]) -> None:
        self.number = number
        """Position since the start of the server."""
        self.hung_up = False
        """The connection is closed."""
        self._ended = ended

    def end(self) -> None:
        """Wake whoever waits."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def wait(self, seconds: float) -> bool:
        """Wait, and tell whether there is still somebody to send to."""
        if seconds > 0:
            await asyncio.wait((self._ended,), timeout=seconds)
        else:
            await asyncio.sleep(0)
        return not self._ended.done()


class Lines:
    """All connections. The journal tells other threads of them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._open: dict[int, Line] = {}
        self._count = 0
        self._closing = False

    def opened(self) -> Line:
        """Note a new connection."""
        line = Line(self._count, asyncio.get_running_loop().create_future())
        self._count += 1
        self._open[line.number] = line
        self._journal.connected(line.number)
        if self._closing:
            line.end()
        return line

    def closed(self, line: Line) -> None:
        """Note that a connection is gone, whoever closed it."""
        line.hung_up = True
        line.end()
        self._open.pop(line.number, None)
        self._journal.disconnected(line.number)

    def close(self) -> None:
        """End every wait: the server stops."""
        self._closing = True
        for line in self._open.values():
            line.end()
