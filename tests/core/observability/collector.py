"""A collector on loopback: it takes OTLP over HTTP and keeps what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What one collector was sent, by path; `statuses` says what it answers, by signal, 200 where nothing stands.

    A list is used up from its beginning.
    """

    def __init__(self, **statuses: int | list[int]) -> None:
        self.statuses = statuses
        self.url = ""
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    def status(self, path: str) -> int:
        """What to answer on a path."""
        given = self.statuses.get(path.rpartition("/")[2], 200)
        return given if isinstance(given, int) else given.pop(0) if given else 200

    def paths(self) -> set[str]:
        return {path for path, _, _ in self.requests}

    def spans(self, path: str = "/v1/traces") -> list[tuple[dict[str, str], Any]]:
        """Every span that was sent, with the attributes of its resource."""
        sent = [ExportTraceServiceRequest.FromString(body) for at, _, body in self.requests if at == path]
        return [
            (_texts(resource), span)
            for request in sent
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> set[str]:
        sent = [ExportMetricsServiceRequest.FromString(body) for at, _, body in self.requests if at == "/v1/metrics"]
        return {
            metric.name
            for request in sent
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def logs(self) -> list[str]:
        sent = [ExportLogsServiceRequest.FromString(body) for at, _, body in self.requests if at == "/v1/logs"]
        return [
            record.body.string_value
            for request in sent
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


@contextmanager
def collecting(**statuses: int | list[int]) -> Iterator[Collector]:
    """Run a collector; statuses are given by signal: `collecting(metrics=405)`."""
    collector = Collector(**statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests.append((self.path, dict(self.headers), body))
            self.send_response(collector.status(self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _texts(resource: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in resource.resource.attributes}
