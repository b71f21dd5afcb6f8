"""Every decision as a span, every attempt beneath it, and a few metrics: through the OpenTelemetry API alone."""

from taskrouter.observability.logs import RoutingLogs
from taskrouter.observability.setup import TelemetrySetup, configure
from taskrouter.observability.telemetry import Telemetry

__all__ = ["RoutingLogs", "Telemetry", "TelemetrySetup", "configure"]
