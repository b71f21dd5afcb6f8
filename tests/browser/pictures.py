"""The pictures of docs/report.md and of the README, made anew: python -m tests.browser.pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.viewer.browser import page as a_page
from tests.browser.reader import look
from tests.core.reporting import ledgers

from taskrouter.ledger import Ledger
from taskrouter.reporting import html_page, report

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"
STEPS: Final = 1500


class Picture(NamedTuple):
    """A picture of the page."""

    name: str
    width: int
    height: int
    dark: bool = False
    at: str = "html"
    """What stands at its top."""


PICTURES: Final = (
    Picture("report-first.png", 1280, 450),
    Picture("report-1280.png", 1280, 1500),
    Picture("report-400.png", 400, 1500),
    Picture("report-dark.png", 1280, 1300, dark=True, at="#frontier"),
)


def make() -> None:
    """Make the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Ledger.open(ledgers.make(folder, steps=STEPS)) as ledger:
            found = report(ledger, since_s=ledgers.NOW_S - 7 * ledgers.DAY_S, until_s=ledgers.NOW_S)
        path = folder / "report.html"
        path.write_text(html_page(found), encoding="utf-8")
        with a_page() as page:
            for picture in PICTURES:
                look(page, path, width=picture.width, height=picture.height, dark=picture.dark)
                page.run(f"document.querySelector({picture.at!r}).scrollIntoView()")
                page.settle()
                page.picture(FOLDER / picture.name)


if __name__ == "__main__":
    make()
