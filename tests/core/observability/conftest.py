"""A real OpenTelemetry SDK that keeps everything in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from tests.core.observability.capturing import Events
from tests.core.observability.recorder import Recorder


@pytest.fixture
def recorder(caplog: pytest.LogCaptureFixture) -> Iterator[Recorder]:
    """Spans and metrics of one test; after it nothing may be open, detached wrongly or complained about."""
    recording = Recorder()
    with caplog.at_level(logging.WARNING):
        yield recording
    assert recording.open == {}
    # What is routed is no complaint: the models of these tests answer under another name than they are asked by.
    ours = [r for r in caplog.get_records("call") if r.name != "taskrouter.routing"]
    complaints = [r.getMessage() for r in ours if r.name.startswith(("opentelemetry", "taskr"))]
    assert complaints == []
    recording.shutdown()


@pytest.fixture
def events() -> Iterator[Events]:
    """What is sent as events."""
    kept = Events()
    yield kept
    kept.provider.shutdown()
