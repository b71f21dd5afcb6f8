"""uvicorn, set up to serve a simulation quietly from a background thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from functools import partial
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from taskrouter.simulator.app import LINE, build
from taskrouter.simulator.line import Lines
from taskrouter.simulator.simulation import Simulation

_log = logging.getLogger("taskrouter.simulator")


KEEP_ALIVE_S = 75
"""An idle connection is closed after this time. Longer than any test waits, so that a client that forgets to close its
connections is not helped."""


class HostedServer(Server):
    """Says when it answers, and ends hanging requests when it stops. Off the main thread uvicorn takes no signals."""

    def __init__(self, config: Config, lines: Lines) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        """Set when the server answers, or has failed to start."""
        self._lines = lines

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit` is set."""
        try:
            super().run(sockets)
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of the clients, then stop."""
        self._lines.close()
        await super().shutdown(sockets)


def hosted(simulation: Simulation) -> HostedServer:
    """Return the server of a simulation, ready to run."""
    lines = Lines(simulation.journal)
    quiet: Any = {"ws": "none", "lifespan": "off", "log_config": None, "access_log": False, "proxy_headers": False}
    protocol: Any = partial(_Protocol, lines=lines)
    config = Config(build(simulation), http=protocol, loop="asyncio", timeout_keep_alive=KEEP_ALIVE_S, **quiet)
    return HostedServer(config, lines)


class _Protocol(H11Protocol):
    """Notes when a client comes and goes, and gives each request the connection that it came on.

    Logs to our logger, so that a connection broken on purpose does not look like a bug of the application.
    """

    def __init__(self, *args: Any, lines: Lines, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log
        self._lines = lines

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        self._line = self._lines.opened()
        self.app_state = {**self.app_state, LINE: self._line}
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.closed(self._line)
        super().connection_lost(exc)


def _not_broken_on_purpose(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("ASGI callable returned without completing")


_log.addFilter(_not_broken_on_purpose)
