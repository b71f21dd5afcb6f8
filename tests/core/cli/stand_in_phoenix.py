"""A stand-in for Phoenix: serves its health page, takes traces, and writes down how it was started and ended.

It is run by its path, as `phoenix serve` or as a Python that is told `-m phoenix.server.main serve`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NoReturn

NOTES = Path(os.environ["PHOENIX_WORKING_DIR"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200 if self.path == "/healthz" else 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        (NOTES / "trace").write_bytes(body)
        self.answer(200 if self.headers["Content-Type"] == "application/x-protobuf" else 415)
        if os.environ.get("PHOENIX_STAND_IN") == "leaves":
            os._exit(3)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def end(number: int, _frame: object) -> NoReturn:
    (NOTES / "ended").write_text(signal.Signals(number).name, encoding="utf-8")
    sys.exit()


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    started = {"arguments": sys.argv[1:], "environment": dict(os.environ)}
    (NOTES / "started").write_text(json.dumps(started), encoding="utf-8")
    if os.environ.get("PHOENIX_STAND_IN") == "fails":
        sys.exit("it starts\n\nthe database is locked")
    HTTPServer((os.environ["PHOENIX_HOST"], int(os.environ["PHOENIX_PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
