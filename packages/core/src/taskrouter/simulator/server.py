"""Serve a simulation from a background thread, on loopback only."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskrouter.errors import ConfigurationError, ExecutionError, MissingExtraError
from taskrouter.simulator.chaos import ChaosScript, ChaosSource, load_chaos
from taskrouter.simulator.config import Event, SimulatorConfig, load
from taskrouter.simulator.journal import RequestRecord
from taskrouter.simulator.simulation import Simulation

if TYPE_CHECKING:
    from taskrouter.simulator.hosting import HostedServer

LOOPBACK = "127.0.0.1"


class RunningServer:
    """A simulator that answers; see `serve`."""

    def __init__(self, simulation: Simulation, host: str, port: int) -> None:
        self._simulation = simulation
        self.config = simulation.config
        self.port = port
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{port}"
        self.base_url = f"{self.url}/v1"
        """What OpenAI clients take as `base_url`."""

    @property
    def requests(self) -> list[RequestRecord]:
        """What was received so far, in order of arrival."""
        return self._simulation.journal.snapshot()

    @property
    def open_connections(self) -> int:
        """How many connections of clients are open, the one that asks over HTTP included."""
        return self._simulation.journal.open_connections

    @property
    def chaos_script(self) -> ChaosScript | None:
        """The chaos script at work, or None."""
        return self._simulation.chaos_script

    def chaos(self, source: ChaosSource | None) -> None:
        """Begin a chaos script now, in place of the one before; None ends it.

        Raises:
            ConfigurationError: the file cannot be read, or the script is wrong; the message names the key.
        """
        self._simulation.chaos(None if source is None else load_chaos(source, self.config))

    def reset(self) -> None:
        """Forget all requests and start every fault sequence, and the chaos script, again."""
        self._simulation.reset()

    def script(self, model: str, *events: Event) -> None:
        """Say what the next requests to a model meet: `ok` or a fault, one each.

        Raises:
            ConfigurationError: there is no such model or fault.
        """
        self._simulation.script(model, events)

    def wait_for(self, condition: Callable[[list[RequestRecord]], bool], timeout_s: float = 5.0) -> bool:
        """Wait until the condition holds for the requests; tell whether it did within the time."""
        return self._simulation.journal.wait_for(condition, timeout_s)

    def wait_for_connections(self, at_most: int = 0, timeout_s: float = 5.0) -> bool:
        """Wait until at most so many connections are open; tell whether it came to that within the time.

        The server itself closes a connection only when a fault breaks it, or when it has been idle for 75 seconds: a
        client that leaves a connection open is found out.
        """
        return self._simulation.journal.wait_for_connections(at_most, timeout_s)


@contextmanager
def serve(
    config: SimulatorConfig | str | Path | Mapping[str, Any] | None = None,
    *,
    chaos: ChaosSource | None = None,
    host: str = LOOPBACK,
    port: int = 0,
) -> Iterator[RunningServer]:
    """Serve simulated models until the block ends. Several servers may run at once.

    Args:
        config: a configuration, its TOML file or mapping; the bundled models by default.
        chaos: an outage in phases: a script, its TOML file or mapping; none by default.
        host: a loopback address.
        port: 0 takes any free port.

    Raises:
        ConfigurationError: the address is not loopback, the port is taken, or the configuration is wrong.
        MissingExtraError: the extra `simulate` is not installed.
    """
    settings = config if isinstance(config, SimulatorConfig) else load(config)
    script = None if chaos is None else load_chaos(chaos, settings)
    simulation = Simulation(settings)
    listener = _listen(host, port)
    try:
        server = _hosted(simulation)
        thread = threading.Thread(target=server.run, args=([listener],), name="taskrouter-simulator", daemon=True)
        thread.start()
        server.ready.wait()
        if not server.started:
            raise ExecutionError("the simulator did not start; the log of uvicorn.error says why")
        try:
            simulation.chaos(script)
            yield RunningServer(simulation, host, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
    finally:
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    address = LOOPBACK if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigurationError(
            f"host {host!r} is not a loopback address: the simulator has no protection and serves this machine only. "
            f"Use {LOOPBACK} or ::1."
        )
    if not 0 <= port <= 65_535:
        raise ConfigurationError(f"port {port} is out of range: choose 1 to 65535, or 0 for any free port")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol; with it an answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen()
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(
            f"port {port} on {host} cannot be used: {reason}. Choose another port, or 0 for any free one."
        ) from error
    return listener


def _hosted(simulation: Simulation) -> HostedServer:
    try:
        from taskrouter.simulator.hosting import hosted  # noqa: PLC0415 - needs starlette and uvicorn, which are optional
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "starlette", extra="simulate", wanted_for="the simulator") from error
    return hosted(simulation)
