"""What all tests share: a simulator over real HTTP, and no network beyond this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # before anything imports litellm

import certifi
import pytest
from hypothesis import HealthCheck, settings
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.standins import Vendors, serve

from taskrouter import simulator
from taskrouter.simulator import RunningServer

AUTHORITY = tempfile.NamedTemporaryFile(mode="w", suffix=".pem", prefix="taskrouter-tests-")  # noqa: SIM115 - it stays
"""One certificate authority. Nothing here speaks TLS, and tests make thousands of HTTP clients, each of which takes
20 ms to read all authorities of the world.
"""
BEGINNING, END = Path(certifi.where()).read_text(encoding="utf-8").split("-----END", 1)[0], "-----END CERTIFICATE-----"
AUTHORITY.write(f"{BEGINNING}{END}\n")
AUTHORITY.flush()
os.environ["SSL_CERT_FILE"] = AUTHORITY.name

MODELS = ("first", "second")

# Speed is measured in benchmarks/, on machines that are quiet: a busy one makes slow what is not.
settings.register_profile("taskrouter", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("taskrouter")


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """Two healthy simulated models that do not waste time."""
    models = [{"id": name, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0} for name in MODELS]
    with simulator.serve({"speed": 0.0, "models": models}) as running:
        yield running


@pytest.fixture
def pool(server: RunningServer) -> list[dict[str, Any]]:
    """The same two models as a router's pool."""
    return [
        {
            "id": name,
            "base_url": server.base_url,
            "input_usd_per_million": 1.0,
            "output_usd_per_million": 4.0,
            "context_tokens": 128_000,
            "capabilities": {"tools": True, "json_schema": True, "vision": False},
        }
        for name in MODELS
    ]


@pytest.fixture(scope="session")
def running_vendors() -> Iterator[Vendors]:
    """The stand-ins of both vendors, for the whole run."""
    with serve() as vendors:
        yield vendors


@pytest.fixture
def vendors(running_vendors: Vendors) -> Iterator[Vendors]:
    """The stand-ins of both vendors, healthy and without a memory."""
    yield running_vendors
    running_vendors.reset()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Keeps the spans that were made."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """Where spans go, for a router or for an instrumentation."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider
