"""A real OpenTelemetry SDK that keeps everything in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from tests.core.observability.recorder import Recorder


@pytest.fixture
def recorder(caplog: pytest.LogCaptureFixture) -> Iterator[Recorder]:
    """Spans and metrics of one test; after it nothing may be open, detached wrongly or complained about."""
    recording = Recorder()
    with caplog.at_level(logging.WARNING):
        yield recording
    assert recording.open == {}
    complaints = [r.getMessage() for r in caplog.get_records("call") if r.name.startswith(("opentelemetry", "taskr"))]
    assert complaints == []
    recording.shutdown()
