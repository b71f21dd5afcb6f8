"""Arize Phoenix as a child process: found, started with safe settings on loopback, waited for, ended."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import Request, urlopen

from taskrouter.errors import ConfigurationError, ExecutionError

HOST = "127.0.0.1"
PYTHON_VARIABLE = "TASKROUTER_PHOENIX_PYTHON"
INSTALL = (
    "the viewer, Arize Phoenix, is not installed. It is large, so give it an environment of its own: 'uv tool install"
    " arize-phoenix' or 'pipx install arize-phoenix'. One that is not on PATH is named with --python or"
    f" {PYTHON_VARIABLE}"
)
SAFE: Mapping[str, str] = {
    "PHOENIX_HOST": HOST,
    "PHOENIX_TELEMETRY_ENABLED": "false",
    "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
    "PHOENIX_AGENTS_DISABLE_BASH": "true",
    "PHOENIX_AGENTS_DISABLE_GITHUB": "true",
    "PHOENIX_AGENTS_DISABLE_WEB_ACCESS": "true",
    "PHOENIX_ALLOWED_SANDBOX_PROVIDERS": "NONE",
    "PHOENIX_ENABLE_MCP_SERVER": "false",
    # Its second port, for gRPC, listens on all addresses whatever the host is. Phoenix cannot leave it out; 0 takes
    # one that nobody knows.
    "PHOENIX_GRPC_PORT": "0",
}
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_STARTED_WITHIN_S = 120.0
_ENDED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Phoenix:
    """A Phoenix that is running."""

    url: str
    process: subprocess.Popen[bytes]

    def send(self, request: bytes) -> None:
        """Hand it an `ExportTraceServiceRequest`."""
        message = Request(  # noqa: S310 - the address is ours
            f"{self.url}/v1/traces", request, {"Content-Type": "application/x-protobuf"}
        )
        try:
            with urlopen(message, timeout=30):  # noqa: S310
                pass
        except URLError as error:
            raise ExecutionError(f"the viewer at {self.url} did not take the trace: {error}") from error


def find(python: Path | None) -> list[str]:
    """Return the command that starts Phoenix: by the given interpreter, here, or on PATH.

    Raises:
        ConfigurationError: there is none.
    """
    named = python or (Path(given) if (given := os.environ.get(PYTHON_VARIABLE)) else None)
    if named is not None:
        where = "--python" if python else PYTHON_VARIABLE
        if not os.access(named, os.X_OK) or named.is_dir():
            raise ConfigurationError(f"{where}: {named} is no Python that can be run")
        # With its folder, else it would be looked for on PATH; and not resolved: an environment's Python is a link.
        return [str(named.absolute()), "-m", "phoenix.server.main", "serve"]
    try:
        distribution("arize-phoenix")
    except PackageNotFoundError:
        program = shutil.which("phoenix")
        if program is None:
            raise ConfigurationError(INSTALL) from None
        return [program, "serve"]
    return [sys.executable, "-m", "phoenix.server.main", "serve"]


def free_port(wanted: int) -> int:
    """Return the port if it is free on loopback, any free one for 0.

    Raises:
        ConfigurationError: it is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"--port: {wanted} cannot be used: {error}. If a viewer runs there already, send traces to it;"
                " otherwise choose another port, or 0 for any free one"
            ) from error
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], port: int, data: Path | None = None) -> Iterator[Phoenix]:
    """Start Phoenix, wait until it serves, and end it afterwards by its own process id.

    Args:
        command: what `find` has found.
        port: a free port.
        data: the folder for its database; default: Phoenix's own.

    Raises:
        ConfigurationError: it is no program.
        ExecutionError: it does not start.
    """
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own Phoenix
                command,
                env=_environment(port, data),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone: we end it, in order
            )
        except OSError as error:
            raise ConfigurationError(f"{command[0]} cannot be run: {error.strerror or error}") from error
        try:
            phoenix = Phoenix(f"http://{HOST}:{port}", process)
            _wait(phoenix, log)
            yield phoenix
        finally:
            _end(process)


def _environment(port: int, data: Path | None) -> dict[str, str]:
    """Phoenix's own settings stay, where they are not ours to decide; keys of the shell are none of its business."""
    kept = {
        name: value for name, value in os.environ.items() if name.startswith("PHOENIX_") or not _SECRET.search(name)
    }
    folder = {} if data is None else {"PHOENIX_WORKING_DIR": str(data.absolute())}
    return {**kept, **SAFE, **folder, "PHOENIX_PORT": str(port)}


def _wait(phoenix: Phoenix, log: IO[bytes]) -> None:
    end_s = time.monotonic() + _STARTED_WITHIN_S
    while time.monotonic() < end_s:
        if (code := phoenix.process.poll()) is not None:
            raise ExecutionError(f"Phoenix ended with code {code} before it served: {_last_line(log)}")
        try:
            with urlopen(f"{phoenix.url}/healthz", timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.1)
    raise ExecutionError(f"Phoenix did not serve within {_STARTED_WITHIN_S:g} s: {_last_line(log)}")


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_ENDED_WITHIN_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):  # Ctrl-C once more: nobody wants to wait
            process.kill()
    process.wait()
