"""uvicorn, set up to serve a simulation quietly from a background thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from taskrouter.simulator.app import build
from taskrouter.simulator.simulation import Simulation

_log = logging.getLogger("taskrouter.simulator")


class HostedServer(Server):
    """Says when it answers, and ends hanging requests when it stops. Off the main thread uvicorn takes no signals."""

    def __init__(self, config: Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        """Set when the server answers, or has failed to start."""
        self._closing = closing

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
        self._closing.set()
        await super().shutdown(sockets)


def hosted(simulation: Simulation) -> HostedServer:
    """Return the server of a simulation, ready to run."""
    closing = asyncio.Event()
    quiet: Any = {"ws": "none", "lifespan": "off", "log_config": None, "access_log": False}
    return HostedServer(Config(build(simulation, closing), http=_Protocol, loop="asyncio", **quiet), closing)


class _Protocol(H11Protocol):
    """Logs to our logger, so that a connection broken on purpose does not look like a bug of the application."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log


def _not_broken_on_purpose(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("ASGI callable returned without completing")


_log.addFilter(_not_broken_on_purpose)
