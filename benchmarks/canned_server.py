"""A stand-in for a provider that answers every request at once with the same bytes: a benchmark measures its clients.

python benchmarks/canned_server.py      # prints its port, serves until its standard input ends
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHUNKS = 100
"""Chunks with text in a stream. Three more open it, end it and tell its usage."""
MODEL = "canned"
_USAGE = {"prompt_tokens": 20, "completion_tokens": CHUNKS, "total_tokens": 20 + CHUNKS}
_HEAD = {"id": "chatcmpl-canned", "created": 1, "model": MODEL, "system_fingerprint": "canned"}


@contextmanager
def served() -> Iterator[str]:
    """Serve in a process of its own; yield the `base_url`."""
    command = [sys.executable, str(Path(__file__).resolve())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.stdin.close()


def _plain() -> bytes:
    message = {"role": "assistant", "content": "word " * CHUNKS, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
    return _response("application/json", body)


def _stream() -> bytes:
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": "word "}, None)] * CHUNKS
    deltas += [({}, "stop")]
    documents: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}], "usage": None}
        for delta, reason in deltas
    ]
    documents += [{"choices": [], "usage": _USAGE}]
    events = [json.dumps({**_HEAD, "object": "chat.completion.chunk", **document}) for document in documents]
    return _response("text/event-stream", "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode())


def _response(kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """Reads as much of HTTP as is needed to know where a request ends."""

    def __init__(self, plain: bytes, stream: bytes) -> None:
        self._plain, self._stream = plain, stream
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, found, rest = head.partition(b"content-length:")
            whole = end + 4 + (int(rest.split(b"\r\n")[0]) if found else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            streamed = b'"stream":true' in body or b'"stream": true' in body
            self._transport.write(self._stream if streamed else self._plain)


async def _serve() -> None:
    plain, stream = _plain(), _stream()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(plain, stream), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
