"""A picture of a trace as the viewer shows it: the tree, and the route that tells most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.viewer.browser import page
from benchmarks.viewer.shown import Shown, Span

MOST_BYTES = 300_000
_WINDOW = (1500, 2000)
_PANEL = """(() => {
  const panel = document.querySelector('[role=dialog]').getBoundingClientRect();
  const rows = [...document.querySelectorAll('[role=dialog] *')]
    .filter(one => one.childElementCount === 0 && one.textContent.trim())
    .map(one => one.getBoundingClientRect())
    .filter(box => box.height > 0 && box.bottom < panel.bottom);
  const bottom = Math.max(...rows.map(box => box.bottom));
  return {x: panel.x, y: panel.y, width: panel.width, height: Math.min(panel.height, bottom - panel.y + 24)};
})()"""


def telling(shown: Shown) -> Span:
    """Return the route that shows most: one with a failed attempt, else the last one."""
    routes = [span for span in shown.spans if span.name.startswith("route ")]
    return next((route for route in routes if len(shown.beneath(route)) > 1), routes[-1])


def take(address: str, shown: Shown, trace_id: str, path: Path) -> Sequence[str]:
    """Take a picture of the trace's page with one route selected; return whom else the page has asked for anything."""
    route = telling(shown)
    with page() as view:
        view.show(*_WINDOW)
        view.open(f"{address}/projects/{shown.project_id}/traces/{trace_id}?selectedSpanNodeId={route.node_id}")
        view.wait_until("document.body?.innerText.includes('taskrouter.decision.model')")
        view.settle()
        view.picture(path, view.run(_PANEL))
        return sorted({url for url in view.requested if _elsewhere(url, address)})


def _elsewhere(url: str, address: str) -> bool:
    return urlsplit(url).scheme not in ("data", "blob", "about") and urlsplit(url).netloc != urlsplit(address).netloc
