"""OpenTelemetry in one line, for processes that have no set-up of their own."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import _logs, metrics, trace

from taskrouter.errors import ConfigurationError, MissingExtraError
from taskrouter.observability.collector import Collector, Signal, disabled

if TYPE_CHECKING:
    from taskrouter.observability.exporting import Providers
    from taskrouter.observability.prometheus import ScrapePage

_AT_EXIT_S = 5.0
"""How long a process that ends may wait for its last spans to be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The arguments of `configure`, to tell a second call from a contradiction."""

    endpoint: str | None
    service_name: str | None
    project: str | None
    prometheus_port: int | None
    logs: bool


class TelemetrySetup:
    """What `configure` has set up. Leave its `with` block, or call `shutdown`, and everything waiting is sent."""

    def __init__(self, collector: Collector | None, providers: Providers | None, page: ScrapePage | None) -> None:
        self._collector, self._providers, self._page = collector, providers, page
        self._lock = threading.Lock()

    @property
    def active(self) -> bool:
        """Whether anything is exported: not with `OTEL_SDK_DISABLED`, and not after `shutdown`."""
        return self._providers is not None

    @property
    def endpoints(self) -> Mapping[Signal, str]:
        """Where each kind of telemetry goes."""
        return {} if self._collector is None else self._collector.urls

    @property
    def prometheus_url(self) -> str | None:
        """The page that Prometheus scrapes, where one was asked for."""
        return None if self._page is None else self._page.url

    def flush(self, timeout_s: float = 10.0) -> None:
        """Send what is waiting, now. A collector that cannot be reached is logged, not raised."""
        if self._providers is not None:
            self._providers.flush(timeout_s)

    def shutdown(self, timeout_s: float = 10.0) -> None:
        """Send what is waiting and stop exporting; nothing is set up again in this process. May be called again."""
        with self._lock:
            providers, self._providers = self._providers, None
            page, self._page = self._page, None
        atexit.unregister(self._at_exit)
        if providers is not None:
            providers.shutdown(timeout_s)
        if page is not None:
            page.close()

    def _at_exit(self) -> None:
        self.shutdown(_AT_EXIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        """Name the addresses, never a header."""
        shown = "off" if self._collector is None else self._collector.shown
        return (
            f"TelemetrySetup({shown})" if self.active or self._collector is None else f"TelemetrySetup({shown}; ended)"
        )


_lock = threading.Lock()
_done: tuple[_Asked, TelemetrySetup] | None = None


def configure(
    endpoint: str | None = None,
    service_name: str | None = None,
    *,
    project: str | None = None,
    prometheus_port: int | None = None,
    logs: bool = False,
) -> TelemetrySetup:
    """Set up OpenTelemetry for this process: spans and metrics go to a collector or a viewer, over OTLP/HTTP.

    Nothing calls it for you. Use it where no SDK is set up yet; an application that has its own set-up needs nothing
    of this, or hands its providers to `Router(tracer_provider=..., meter_provider=...)`. The SDK's variables hold:
    `OTEL_EXPORTER_OTLP_ENDPOINT` and `..._HEADERS` (the only place for keys), `OTEL_SERVICE_NAME`,
    `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_METRICS_EXPORTER=none`, `OTEL_SDK_DISABLED` and others.
    Arguments rule over them.

    Args:
        endpoint: base address of the collector, such as `http://localhost:6006`; default: what the environment says,
            else `http://localhost:4318`.
        service_name: the name of your application (`service.name`).
        project: the project in which Phoenix shows the traces (`openinference.project.name`).
        prometheus_port: also serve metrics on this port of 127.0.0.1, for Prometheus to scrape; 0 takes any free port.
        logs: also send log records, which carry message content where its capture is switched on.

    Returns:
        A handle that sends what is waiting: `flush`, `shutdown`, or as a context manager. Without either this happens
        when the process ends. A second call with the same arguments returns the same handle.

    Raises:
        ConfigurationError: an argument or a variable is wrong, a provider is already set up, or `configure` was called
            with other arguments.
        MissingExtraError: the extra `otel` (for `prometheus_port`: `prometheus`) is not installed.
    """
    global _done  # noqa: PLW0603 - so are the providers: there is one set per process
    asked = _Asked(
        endpoint=endpoint, service_name=service_name, project=project, prometheus_port=prometheus_port, logs=logs
    )
    with _lock:
        if _done is not None:
            return _again(asked, *_done)
        if disabled():
            return TelemetrySetup(None, None, None)
        setup = _set_up(asked)
        _done = asked, setup
        return setup


def _again(asked: _Asked, before: _Asked, setup: TelemetrySetup) -> TelemetrySetup:
    if asked != before:
        raise ConfigurationError(
            f"telemetry is already configured in this process, as {setup!r}: call configure() once, where it starts"
        )
    if not setup.active:
        raise ConfigurationError(
            "telemetry was shut down, and OpenTelemetry's providers cannot be set twice: call shutdown() once, where"
            " the process ends, and flush() before"
        )
    return setup


def _set_up(asked: _Asked) -> TelemetrySetup:
    wanted: tuple[Signal, ...] = ("traces", "metrics", "logs") if asked.logs else ("traces", "metrics")
    collector = Collector.of(asked.endpoint, wanted)
    _check_free(asked.logs)
    exporting = _part("exporting", extra="otel", wanted_for="configure()")
    page: ScrapePage | None = None
    if asked.prometheus_port is not None:
        page = _part("prometheus", extra="prometheus", wanted_for="prometheus_port").ScrapePage(asked.prometheus_port)
    resource = {"service.name": asked.service_name, "openinference.project.name": asked.project}
    try:
        providers: Providers = exporting.Providers(
            collector, {name: value for name, value in resource.items() if value}, [] if page is None else [page.reader]
        )
    except ValueError as error:
        if page is not None:
            page.close()
        raise ConfigurationError(f"OpenTelemetry's SDK refuses one of its OTEL_... variables: {error}") from error
    trace.set_tracer_provider(providers.tracers)
    if providers.meters is not None:
        metrics.set_meter_provider(providers.meters)
    if providers.loggers is not None:
        _logs.set_logger_provider(providers.loggers)
    setup = TelemetrySetup(collector, providers, page)
    atexit.register(setup._at_exit)  # noqa: SLF001 - a friend
    return setup


def _check_free(logs: bool) -> None:
    """Refuse to set a provider twice: OpenTelemetry would only warn, and go on with the first."""
    taken = [
        what
        for what, provider in (
            ("TracerProvider", trace.get_tracer_provider()),
            ("MeterProvider", metrics.get_meter_provider()),
            *([("LoggerProvider", _logs.get_logger_provider())] if logs else []),
        )
        # The API hands out a proxy until a provider is set; only that of the tracers has a public name.
        if type(provider).__name__.removeprefix("_") not in _PROXIES
    ]
    if taken:
        raise ConfigurationError(
            f"OpenTelemetry is already set up in this process (a global {' and '.join(taken)}): the router reports to"
            " it without configure(). Leave the call out, or call it before anything else sets a provider"
        )


_PROXIES = ("ProxyTracerProvider", "ProxyMeterProvider", "ProxyLoggerProvider")


def _part(name: str, *, extra: str, wanted_for: str) -> Any:
    """Import the module that needs an extra."""
    try:
        return import_module(f"taskrouter.observability.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("taskrouter"):
            raise
        raise MissingExtraError(error.name or "opentelemetry-sdk", extra=extra, wanted_for=wanted_for) from error
