"""Embedding models that know words and nothing of what they mean: texts that share words are near."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from taskrouter.profiling.text import split

SIZE = 256


def vector_of(text: str) -> list[float]:
    """Return counts of words, each at a place of its own."""
    counts = [0.01] * SIZE
    for word in split(text):
        counts[int.from_bytes(hashlib.sha256(word.encode()).digest()[:2], "big") % SIZE] += 1.0
    return counts


class Counting:
    """An encoder in this process that counts what it is given."""

    name = "stand-in"
    remote = False

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        return [vector_of(text) for text in texts]


class SentenceTransformer:
    """What stands in for the class of the library sentence-transformers."""

    made: list[str] = []

    def __init__(self, name: str) -> None:
        self.made.append(name)

    def encode(self, texts: list[str], *, show_progress_bar: bool) -> Any:
        import numpy as np

        assert not show_progress_bar
        return np.array([vector_of(text) for text in texts])


class EmbeddingServer(ThreadingHTTPServer):
    """An OpenAI-compatible server of one embedding model."""

    daemon_threads = True
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Embeddings)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Embeddings(BaseHTTPRequestHandler):
    server: EmbeddingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.keys.append(self.headers["Authorization"])
        assert self.path == "/v1/embeddings"
        # From the last to the first: the index counts, not the order.
        rows = [
            {"object": "embedding", "index": place, "embedding": vector_of(text)}
            for place, text in reversed(list(enumerate(body["input"])))
        ]
        usage = {"prompt_tokens": 10, "total_tokens": 10}
        answer = json.dumps({"object": "list", "data": rows, "model": body["model"], "usage": usage}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[EmbeddingServer]:
    """Run a server."""
    server = EmbeddingServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
