"""The vendors' stand-ins for LangChain's own suites, no network beyond this machine, and an exact list of skips."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest
from tests.standins import Vendors, serve

SKIPS = {
    "Pair": {
        "test_audio_inputs",  # Anthropic takes none
        "test_stream_time",  # measured against a recording; `make bench` measures the adapter
    },
    "Completions": {
        "test_image_tool_message",  # OpenAI's chat completions take texts from tools only
        "test_pdf_tool_message",
    },
    "TestRoutedChatModelUnit": {
        "test_init_from_env",  # the candidates read their keys from the environment; the router has none
        "test_serdes",  # a pool of live models has no form to save
    },
}
"""By class: the standard tests that do not apply. Any other skip fails, and so does a test here that runs."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that is skipped, or expected to fail, without being listed; and one that is listed and runs."""
    report = yield
    listed = _listed(item)
    if report.skipped and not listed:
        report.outcome, report.longrepr = "failed", f"{item.nodeid} is skipped, and SKIPS does not list it"
    elif report.when == "call" and report.passed and listed:
        report.outcome, report.longrepr = "failed", f"{item.nodeid} runs, and SKIPS lists it"
    return report


def _listed(item: pytest.Item) -> bool:
    classes = getattr(getattr(item, "cls", None), "__mro__", ())
    name = getattr(item, "originalname", item.name)
    return any(name in SKIPS.get(cls.__name__, ()) for cls in classes)


@pytest.fixture(scope="session")
def running() -> Iterator[Vendors]:
    """Both vendors, for the whole run."""
    with serve() as vendors:
        yield vendors


@pytest.fixture
def vendors(running: Vendors, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    """Both vendors, healthy and without a memory. The files that the suites fetch come from them, too."""
    fetch = httpx.get

    def fetch_here(url: str, **options: Any) -> httpx.Response:
        return fetch(f"{running.url}/files/{url.rpartition('/')[2]}", **options)

    monkeypatch.setattr(httpx, "get", fetch_here)
    yield running
    running.reset()
