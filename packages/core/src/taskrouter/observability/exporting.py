"""The OpenTelemetry SDK's providers with OTLP exporters. Only `configure` imports this module: the SDK is an extra."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import requests
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from taskrouter.observability.collector import Collector, Signal
from taskrouter.observability.guard import guarded
from taskrouter.observability.reachability import Reachability


class _Quiet(logging.Filter):
    """Leaves out what an exporter logs while it sends for us.

    It would log every request that fails, again and again and with its whole address. `Reachability` says it once, and
    without what may be a key.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ours = threading.local()
        for exporter in (OTLPSpanExporter, OTLPMetricExporter, OTLPLogExporter):
            logging.getLogger(exporter.__module__).addFilter(self)

    def filter(self, _: logging.LogRecord) -> bool:
        return not getattr(self._ours, "sending", False)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold for what this thread does within."""
        self._ours.sending = True
        try:
            yield
        finally:
            self._ours.sending = False


_quiet = _Quiet()


class _OutOfTime(Exception):  # noqa: N818 - the exporters retry errors of connections, and this is none
    """The process is ending: there is no time to try again."""


class Line(requests.Session):
    """The connection over which one signal is sent: it tells what came of each request, and hurries at the end."""

    def __init__(self, signal: Signal, reachability: Reachability) -> None:
        super().__init__()
        self._signal, self._reachability = signal, reachability
        self._ends_s: float | None = None

    @property
    def idle(self) -> bool:
        """Whether it makes no sense to send anything."""
        return self._reachability.refuses(self._signal) or (self._ends_s is not None and self._reachability.down)

    def hurry(self, timeout_s: float) -> None:
        """From now on each request is made once, and all of them end within this time."""
        self._ends_s = time.monotonic() + timeout_s

    def request(self, method: str, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """Make a request, as `requests.Session` does."""
        address = str(url)
        if self._ends_s is not None:
            left_s = self._ends_s - time.monotonic()
            if left_s <= 0:
                raise _OutOfTime
            options["timeout"] = min(options.get("timeout") or left_s, left_s)
        try:
            response = super().request(method, url, *args, **options)
        except Exception as error:  # a certificate that is not there is no `RequestException`
            self._reachability.failed(self._signal, address, error)
            if self._ends_s is not None:
                raise _OutOfTime from error
            raise
        if self._reachability.answered(self._signal, address, response.status_code) and response.status_code >= 400:
            # Not wanted is no failure: the exporter would log it as one, every minute.
            response.status_code, response.reason = 204, "not taken"
        return response


class _OverALine:
    """What the exporters share: they send over a line, nothing where nobody takes it, and are closed but once."""

    failure: ClassVar[Any]

    def __init__(self, url: str, line: Line) -> None:
        super().__init__(url, session=line)  # type: ignore[call-arg]  # of the exporter that stands next
        self._line, self._closed = line, False

    def export(self, *args: Any, **options: Any) -> Any:
        if self._line.idle:
            return self.failure
        with _quiet.sending():
            return super().export(*args, **options)  # type: ignore[misc]  # as above

    def shutdown(self, *args: Any, **options: Any) -> None:
        """Close the line; this also wakes a retry that waits."""
        if not self._closed:
            self._closed = True
            super().shutdown(*args, **options)  # type: ignore[misc]  # as above


class Spans(_OverALine, OTLPSpanExporter):
    """Sends spans."""

    failure = SpanExportResult.FAILURE


class Metrics(_OverALine, OTLPMetricExporter):
    """Sends metrics."""

    failure = MetricExportResult.FAILURE


class Logs(_OverALine, OTLPLogExporter):
    """Sends log records."""

    failure = None  # its class has changed its name; nobody looks at it


class Providers:
    """The providers of a process, and their way to the collector."""

    def __init__(self, collector: Collector, resource: dict[str, str], readers: list[MetricReader]) -> None:
        self._reachability = Reachability()
        self._lines: list[Line] = []
        self._exporters: list[Spans | Metrics | Logs] = []
        about = Resource.create(resource)
        # `shutdown_on_exit` waits half a minute for a collector that is away; the handle of `configure` does it better.
        self.tracers = TracerProvider(resource=about, shutdown_on_exit=False)
        self.meters: MeterProvider | None = None
        self.loggers: LoggerProvider | None = None
        if url := collector.urls.get("traces"):
            self.tracers.add_span_processor(BatchSpanProcessor(self._keep(Spans(url, self._line("traces")))))
        if url := collector.urls.get("metrics"):
            readers = [*readers, PeriodicExportingMetricReader(self._keep(Metrics(url, self._line("metrics"))))]
        if readers:
            self.meters = MeterProvider(readers, resource=about, shutdown_on_exit=False)
        if url := collector.urls.get("logs"):
            self.loggers = LoggerProvider(about, shutdown_on_exit=False)
            self.loggers.add_log_record_processor(BatchLogRecordProcessor(self._keep(Logs(url, self._line("logs")))))

    @guarded
    def flush(self, timeout_s: float) -> None:
        """Send what is waiting."""
        milliseconds = int(timeout_s * 1e3)
        for provider in (self.tracers, self.meters, self.loggers):
            if provider is not None:
                provider.force_flush(milliseconds)

    @guarded
    def shutdown(self, timeout_s: float) -> None:
        """Send what is waiting, once, and stop."""
        for line in self._lines:
            line.hurry(timeout_s)
        if self._reachability.down:
            for exporter in self._exporters:
                exporter.shutdown()
        self.tracers.shutdown()
        if self.meters is not None:
            self.meters.shutdown(timeout_s * 1e3)
        if self.loggers is not None:
            self.loggers.shutdown()

    def _line(self, signal: Signal) -> Line:
        self._lines.append(Line(signal, self._reachability))
        return self._lines[-1]

    def _keep(self, exporter: Any) -> Any:
        self._exporters.append(exporter)
        return exporter
