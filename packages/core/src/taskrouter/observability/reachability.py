"""Whether a collector can be reached: one message when it cannot, one when it is back."""

from __future__ import annotations

import logging
import threading
from typing import Any
from urllib.parse import urlsplit

from taskrouter.observability.collector import Signal, shown

_NOT_THERE = (404, 405, 501)
logger = logging.getLogger("taskrouter.observability")


class Reachability:
    """What the requests to one collector have come to. Signals share it, so an outage is told once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told = False
        self._refused: set[Signal] = set()

    @property
    def down(self) -> bool:
        """Whether the last request failed."""
        return self._told

    def refuses(self, signal: Signal) -> bool:
        """Whether the collector has no use for a signal: viewers of traces take no metrics."""
        return signal in self._refused

    def answered(self, signal: Signal, url: str, status: int) -> bool:
        """Take an answer's HTTP status; return whether it is good."""
        if status < 300:
            self._recovered(url)
            return True
        if signal != "traces" and status in _NOT_THERE:
            if signal not in self._refused:
                self._refused.add(signal)
                logger.info("no more %s are sent: %s does not take them (HTTP %s)", signal, shown(url), status)
            return True
        self._tell("%s are lost: %s answers HTTP %s; %s", signal, shown(url), status, _advice(status))
        return False

    def failed(self, signal: Signal, url: str, error: Exception) -> None:
        """Take a request that brought no answer."""
        # The error's text is not logged: it may quote a proxy's address with its password.
        self._tell(
            "%s are lost: the collector at %s cannot be reached (%s); model calls are not affected. Start it"
            " ('taskrouter view' starts a viewer), or name another one: configure(endpoint=...) or"
            " OTEL_EXPORTER_OTLP_ENDPOINT; OTEL_SDK_DISABLED=true turns export off%s",
            signal,
            shown(url),
            type(error).__name__,
            ". 4317 is gRPC's port; OTLP over HTTP has 4318" if urlsplit(url).port == 4317 else "",
        )

    def _tell(self, message: str, *details: Any) -> None:
        with self._lock:
            first, self._told = not self._told, True
        if first:
            logger.warning(message, *details)

    def _recovered(self, url: str) -> None:
        with self._lock:
            was_down, self._told = self._told, False
        if was_down:
            logger.info("the collector at %s takes telemetry again", shown(url))


def _advice(status: int) -> str:
    if status in (401, 403):
        return "it wants a key: put it into OTEL_EXPORTER_OTLP_HEADERS"
    if status < 400 or status in _NOT_THERE:  # a redirect is not followed
        return "nothing takes OTLP there: check the address, to which '/v1/traces' is added"
    return "see its log"
