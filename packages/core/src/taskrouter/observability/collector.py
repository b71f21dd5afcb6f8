"""Where telemetry is sent: what a caller or the SDK's environment variables say, checked before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from taskrouter.errors import ConfigurationError

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
"""The kinds of telemetry, as OTLP's paths and variables name them."""
DEFAULT_ENDPOINT = "http://localhost:4318"
_BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_HTTP = "http/protobuf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """The addresses of one collector, by signal."""

    urls: Mapping[Signal, str]
    """Only signals that are to be sent."""

    @classmethod
    def of(cls, endpoint: str | None, signals: tuple[Signal, ...]) -> Collector:
        """Resolve the addresses: the argument rules, then the variables of the signal, then those of all signals.

        Raises:
            ConfigurationError: an address is no HTTP address, or the environment asks for what is not spoken here.
        """
        base = None if endpoint is None else _base_of(endpoint)
        return cls(urls={signal: _url(signal, base) for signal in signals if _wanted(signal)})

    @property
    def shown(self) -> str:
        """The addresses without what may be secret in them."""
        return ", ".join(shown(url) for url in self.urls.values()) or "nowhere"


def disabled() -> bool:
    """Whether the environment turns the SDK off (`OTEL_SDK_DISABLED`)."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def shown(url: str) -> str:
    """Return an address without user, password and query, which may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _base_of(endpoint: str) -> str:
    """Check a base address; one that ends in the path of the traces is taken too."""
    _check(endpoint, "endpoint")
    if urlsplit(endpoint).query or urlsplit(endpoint).fragment:
        raise ConfigurationError(f"endpoint: {shown(endpoint)}: give the base address alone, without '?' and '#'")
    return endpoint.rstrip("/").removesuffix("/v1/traces")


def _url(signal: Signal, base: str | None) -> str:
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    if base is None and (given := os.environ.get(own)):
        _check(given, own)
        return given
    if base is None:
        base = os.environ.get(_BASE) or DEFAULT_ENDPOINT
        _check(base, _BASE)
    return f"{base.rstrip('/')}/v1/{signal}"


def _check(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(f"{where}: is no http(s) address of a collector, such as {DEFAULT_ENDPOINT!r}")
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"{where}: {shown(url)}: keys do not belong into an address; put them into OTEL_EXPORTER_OTLP_HEADERS"
        )


def _wanted(signal: Signal) -> bool:
    """Heed `OTEL_..._EXPORTER=none`, and refuse exporters and protocols other than OTLP over HTTP."""
    name = f"OTEL_{signal.upper()}_EXPORTER"
    exporters = {part.strip().lower() for part in os.environ.get(name, "").split(",") if part.strip()}
    if exporters == {"none"}:
        return False
    if exporters and "otlp" not in exporters:
        raise ConfigurationError(f"{name}: configure() exports 'otlp' or 'none'; for others set up the SDK yourself")
    for name in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := os.environ.get(name, "").strip().lower():
            if protocol != _HTTP:
                raise ConfigurationError(
                    f"{name}: configure() speaks {_HTTP!r}; unset it and name the collector's HTTP port, mostly 4318"
                )
            break
    return True
