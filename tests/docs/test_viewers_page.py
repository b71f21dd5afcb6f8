"""The set-up that the page on viewers shows. It is for a whole process, so it runs in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.core.observability.collector import collecting
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/viewers.md"


def test_the_lines_on_the_page_send_a_trace() -> None:
    source = "\n".join(text for _, text in blocks(PAGE, "py"))
    assert "configure(" in source
    with collecting() as collector:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        done = subprocess.run(
            [sys.executable, "-c", source.replace("http://localhost:6006", collector.url)],
            env=clean,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        ((resource, span),) = collector.spans()
        assert (resource["service.name"], span.name) == ("shop", "answer")
