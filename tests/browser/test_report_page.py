"""The report in a real browser: wide and narrow, light and dark, by keyboard, and without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.viewer.browser import Page
from benchmarks.viewer.browser import page as a_page
from tests.browser.reader import look, press
from tests.core.reporting import ledgers
from tests.core.reporting.written import START_S, answered, call, label, record, reported

from taskrouter.ledger import Ledger
from taskrouter.reporting import html_page, report

WIDTHS = (400, 1280)
SCHEMES = (False, True)
TABS = 200
READABLE = 4.5
HOSTILE = ("<script>window.broken=1</script>", '"><img src=http://127.0.0.1:9/x onerror=window.broken=1>', "w" * 10_000)

FOCUSED = """(() => {
  const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
  return {
    tag: e.tagName, text: e.textContent.slice(0, 60), body: e === document.body,
    outline: s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth),
    shown: r.width > 0 && r.height > 0 && r.bottom > 0 && r.right > 0 && r.top < innerHeight && r.left < innerWidth,
  };
})()"""
REACHABLE = """[...document.querySelectorAll('a[href], summary, button, input, [tabindex="0"]')]
  .filter(e => e.checkVisibility()).length"""
CONTRASTS = """(() => {
  const light = c => {
    const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c !== 'rgba(0, 0, 0, 0)') return c;
    }
    return 'rgb(255, 255, 255)';
  };
  document.querySelectorAll('details').forEach(d => { d.open = true; });
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || ['TITLE', 'DESC', 'title', 'desc'].includes(e.tagName)) continue;
    const s = getComputedStyle(e), [a, b] = [light(e.closest('svg') ? s.fill : s.color), light(behind(e))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 40)]);
  }
  return found;
})()"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A browser without a window."""
    with a_page() as opened:
        yield opened


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a week of work."""
    folder = tmp_path_factory.mktemp("report")
    with Ledger.open(ledgers.make(folder, steps=200)) as ledger:
        found = report(ledger, since_s=ledgers.NOW_S - 7 * ledgers.DAY_S, until_s=ledgers.NOW_S)
    path = folder / "report.html"
    path.write_text(html_page(found), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", SCHEMES, ids=("light", "dark"))
def test_the_page_asks_for_nothing_and_complains_of_nothing(page: Page, file: Path, width: int, dark: bool) -> None:
    look(page, file, width=width, dark=dark)
    assert page.run("document.title") == "TaskRouter report"
    assert page.errors == []
    assert page.requested == [file.as_uri()]


@pytest.mark.parametrize("width", WIDTHS)
def test_only_tables_scroll_sideways(page: Page, file: Path, width: int) -> None:
    look(page, file, width=width)
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.querySelector('h1').getBoundingClientRect().left") >= 0


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_reached_by_tab_and_seen_to_be(page: Page, file: Path, width: int) -> None:
    look(page, file, width=width)
    wanted = page.run(REACHABLE)
    seen: list[dict[str, Any]] = []
    for _ in range(TABS):
        press(page, "Tab")
        focused = page.run(FOCUSED)
        if focused["body"]:
            break
        seen.append(focused)
    assert len(seen) == wanted > 40
    assert seen[0]["text"] == "To the figures"
    assert [one for one in seen if one["outline"] < 2 or not one["shown"]] == []


def test_the_first_key_leads_to_the_figures_and_a_decision_opens_by_key(page: Page, file: Path) -> None:
    look(page, file)
    press(page, "Tab")
    press(page, "Enter")
    assert page.run("document.activeElement.id") == "main"
    page.run("[...document.querySelectorAll('summary')].at(-1).focus()")
    press(page, "Enter")
    assert page.run("[...document.querySelectorAll('details')].at(-1).open") is True
    assert "decision  dec_" in page.run("[...document.querySelectorAll('details')].at(-1).innerText")


@pytest.mark.parametrize("dark", SCHEMES, ids=("light", "dark"))
def test_every_text_stands_out(page: Page, file: Path, dark: bool) -> None:
    look(page, file, dark=dark)
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark
    found = page.run(CONTRASTS)
    assert len(found) > 500
    assert [pair for pair in found if pair[0] < READABLE] == []


def test_hostile_names_run_nothing_load_nothing_and_fit(page: Page, tmp_path: Path) -> None:
    steps = [
        record(
            n,
            call("small", served=name, taken=True),
            call("small", status="failed", error_type=name),
            **dict.fromkeys(("agent", "node", "tenant", "identity", "policy"), name),
            loss={"mean": 0.0, "low": -0.1, "high": 0.1, "source": name},
        )
        for n, name in enumerate(HOSTILE)
    ]
    events = [{"kind": "breaker", "at_s": START_S + 1, "endpoint": n, "state": "open", "why": n} for n in HOSTILE]
    path = tmp_path / "report.html"
    path.write_text(html_page(reported(*steps, answered(9), labels=[label(0)], events=events)), encoding="utf-8")
    look(page, path, width=400)
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.run("window.broken") is None
    assert (page.requested, page.errors) == ([path.as_uri()], [])
    assert page.run("document.documentElement.scrollWidth") <= 400


def test_what_a_name_would_load_is_refused_even_if_it_were_an_element(page: Page, file: Path) -> None:
    look(page, file)
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=http://127.0.0.1:9/x onerror=window.broken=1>')")
    assert page.run("new Promise(done => setTimeout(() => done(window.broken), 0))") is None
    assert any("Content Security Policy" in complaint for complaint in page.errors)
