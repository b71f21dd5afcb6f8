"""A page on loopback that Prometheus reads. Only `configure` imports this module: its package is an extra."""

from __future__ import annotations

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricReader
from prometheus_client import CollectorRegistry, start_http_server

from taskrouter.errors import ConfigurationError

_HOST = "127.0.0.1"


class ScrapePage:
    """Serves what the meters have counted, until it is closed."""

    def __init__(self, port: int) -> None:
        registry = CollectorRegistry()
        self.reader: MetricReader = PrometheusMetricReader(registry=registry)
        try:
            self._server, self._thread = start_http_server(port, _HOST, registry)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"prometheus_port: cannot serve on {_HOST}:{port}: {error}; choose another port, or 0 for any free one"
            ) from error
        self.url = f"http://{_HOST}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
