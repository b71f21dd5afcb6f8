"""Headless Chromium, led over its debugging pipe: open a page, wait for it, look at it, take a picture.

The pipe (`--remote-debugging-pipe`) opens no port and needs no library: messages of the DevTools protocol go in and out
as JSON, each ended by a zero byte (https://chromedevtools.github.io/devtools-protocol/).
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_STILL = (
    "one.playState !== 'running' || one.timeline !== document.timeline"  # such as one that follows a scroll bar
    " || one.effect.getComputedTiming().endTime === Infinity"
)
_WITHIN_S = 60.0
_WIRED = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for place, pipe in zip((3, 4), pipes):
    os.dup2(pipe, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Puts the pipe where Chromium wants it, descriptors 3 and 4, and becomes Chromium. A shell could not: dash knows only
descriptors of one digit."""


class BrowserError(RuntimeError):
    """The browser is missing, did not do what it was told, or a page did not come to be as expected."""


def executable() -> str:
    """Return the path of Chromium."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise BrowserError(f"Chromium is missing: none of {', '.join(_NAMES)} is on PATH (apt-get install chromium)")
    return found


class Page:
    """One page of a browser."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._rest, self._last = write, read, b"", 0
        self._session: str | None = None
        self.requested: list[str] = []
        """Every address that the page has asked for."""
        self.errors: list[str] = []
        """What went wrong in its scripts, and what it wrote to the console as an error."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def show(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the window and what its user prefers; motion is what no picture can show."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = {"prefers-reduced-motion": "reduce", "prefers-color-scheme": "dark" if dark else "light"}
        self.call(
            "Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()]
        )

    def open(self, address: str) -> None:
        """Go to an address."""
        if error := self.call("Page.navigate", url=address).get("errorText"):
            raise BrowserError(f"{address}: {error}")

    def run(self, script: str) -> Any:
        """Evaluate an expression and return its value."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise BrowserError(f"{script}: {found['exceptionDetails']['text']}")
        return found["result"].get("value")

    def wait_until(self, script: str) -> None:
        """Wait until an expression is true."""
        end_s = time.monotonic() + _WITHIN_S
        while not self.run(script):
            if time.monotonic() > end_s:
                raise BrowserError(f"within {_WITHIN_S:g} s it did not come true that {script}")
            time.sleep(0.05)

    def settle(self) -> None:
        """Wait until nothing moves any more, and what is there has been painted."""
        self.wait_until(f"document.getAnimations().every(one => {_STILL})")
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def picture(self, path: Path, clip: Mapping[str, float] | None = None) -> None:
        """Write a PNG of the window, or of a part of it (`x`, `y`, `width`, `height`)."""
        part = {} if clip is None else {"clip": {**clip, "scale": 1}}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **part)["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Tell the browser something and return its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], _WITHIN_S)[0]:
                raise BrowserError(f"Chromium said nothing for {_WITHIN_S:g} s")
            if not (more := os.read(self._read, 1 << 20)):
                raise BrowserError("Chromium has ended")
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def _note(self, event: Mapping[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requested.append(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(parameters["exceptionDetails"]["text"])
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.errors.append(parameters["entry"]["text"])
            case "Runtime.consoleAPICalled" if parameters["type"] == "error":
                self.errors.append(" ".join(str(given.get("value", "")) for given in parameters["args"]))


@contextmanager
def page() -> Iterator[Page]:
    """Start Chromium with a profile of its own, and end it afterwards."""
    to_browser, write = os.pipe()
    read, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*_FLAGS, f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # root cannot have one
        process = subprocess.Popen(
            [sys.executable, "-c", _WIRED, str(to_browser), str(from_browser), executable(), *flags],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield Page(write, read)
        finally:
            os.close(write)  # the browser ends when its pipe does
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(read)
