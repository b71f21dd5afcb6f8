"""What a reader does in a real browser: open a file in a window of some size, and press keys."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.viewer.browser import Page

KEYS: Final = {"Tab": 9, "Enter": 13}


def look(page: Page, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
    """Open a file anew, and forget what the page before has asked for and complained of."""
    page.run("window.left = true")
    page.requested.clear()
    page.errors.clear()
    page.show(width, height, dark=dark)
    page.open(path.absolute().as_uri())
    page.wait_until("!window.left && document.readyState === 'complete'")


def press(page: Page, key: str) -> None:
    """Press a key and let it go."""
    said = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
    page.call("Input.dispatchKeyEvent", type="keyDown", **said, **({"text": "\r"} if key == "Enter" else {}))
    page.call("Input.dispatchKeyEvent", type="keyUp", **said)
