"""A judge behind HTTP that says what it is told to."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Court(ThreadingHTTPServer):
    """An OpenAI-compatible server of one model."""

    daemon_threads = True
    verdict = '{"verdict": "tie", "reason": "alike"}'

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Judge)
        self.asked: list[dict[str, Any]] = []

    @property
    def card(self) -> dict[str, Any]:
        """The judge as a model of the pool."""
        return {
            "id": "judge",
            "base_url": f"http://127.0.0.1:{self.server_port}/v1",
            "input_usd_per_million": 1.0,
            "output_usd_per_million": 4.0,
        }


class _Judge(BaseHTTPRequestHandler):
    server: Court

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        message = {"role": "assistant", "content": self.server.verdict}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "j", "choices": [choice], "usage": usage}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
