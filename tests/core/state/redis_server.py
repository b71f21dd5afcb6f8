"""A real redis-server on loopback, with a life that tests can make hard."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

DEADLINE_S = 20.0


class PortTaken(Exception):  # noqa: N818
    """The server ended at once."""


class RedisServer:
    """One server of our own: it keeps nothing on disk unless told to, and only its own process is ever signalled."""

    def __init__(self, *options: str, keeps: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="taskrouter-redis-")
        self.port = 0
        self._options = ["--save", "", "--appendonly", "yes" if keeps else "no", *options]
        self._process: subprocess.Popen[bytes] | None = None
        for last in (False, False, True):  # a port may be taken between our asking for it and the server's
            self.port = free_port()
            try:
                self.start()
                break
            except PortTaken:
                if last:
                    raise

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket(self) -> Path:
        return Path(self._folder.name) / "redis.sock"

    def start(self) -> None:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._folder.name]
        command += ["--unixsocket", str(self.socket), "--appendfsync", "always", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None:
                raise PortTaken
            assert time.monotonic() < deadline_s, "redis-server does not answer"
            time.sleep(0.005)

    def kill(self) -> None:
        """End it as a power failure would: what it kept only in memory is lost."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(DEADLINE_S)

    def pause(self) -> None:
        """Let it hang: connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/stat")
        while status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5, protocol=2)

    def close(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))  # not while it loads its data
        except OSError:
            return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
