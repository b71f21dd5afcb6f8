"""`taskrouter top`: frames of any width, steps as they pass, a store that goes away."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from tests.core.cli import routed
from tests.core.cli.routed import ask, kept, price, records, written
from tests.core.sharing_workers import PATIENCE_S

from taskrouter.cli.feed import Feed
from taskrouter.cli.stores import Place
from taskrouter.cli.top_page import Frame
from taskrouter.errors import AllAttemptsFailedError
from taskrouter.ledger import EVENTS
from taskrouter.state.opening import open_store

TOP = [sys.executable, "-m", "taskrouter", "top"]
BREAKER = {"kind": "breaker", "endpoint": "small", "state": "open", "why": "5 of the last 6 calls failed"}


@pytest.fixture
def url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a ledger with what may happen to steps."""
    monkeypatch.delenv("TASKROUTER_STATE_URL", raising=False)
    url = f"sqlite:///{folder}/taskrouter.db"
    with kept(url, health={"enabled": False}) as router:
        for _ in range(4):
            ask(router, agent="clerk", node="extract")
        ask(router, failing=("small",), agent="a very long name of an agent", node="and of a node that goes on and on")
        with pytest.raises(AllAttemptsFailedError):
            ask(router, failing=("small", "large"), agent="clerk\x1b[31m")
    price(url)
    return url


def frame(url: str, *, width: int, height: int = 40, fitted: bool = False) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=width, height=height, force_terminal=False)
    with closing(Feed(Place(url, "default"))) as feed:
        feed.poll(time.time())
        console.print(Frame(feed, "sqlite:///taskrouter.db", time.time(), fitted=fitted))
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 50, 60, 70])
def test_in_a_narrow_window_columns_are_left_out_and_no_figure_is_cut(url: str, width: int) -> None:
    lines = frame(url, width=width)
    assert max(map(len, lines)) <= width
    figures = [line for line in lines if line.startswith(("  ", "60 min", "model ", "small "))]
    assert len(figures) >= 4
    assert not [line for line in figures if "…" in line]


@pytest.mark.parametrize("width", [80, 120])
def test_a_frame_shows_totals_models_and_the_newest_steps_within_the_width(url: str, width: int) -> None:
    lines = frame(url, width=width)
    assert max(map(len, lines)) <= width
    rows = [" ".join(line.split()) for line in lines]
    assert rows[0].startswith("taskrouter top sqlite:///taskrouter.db ")
    assert rows[1] == "steps spent saved failed fell back p50 s p95 s"
    for row, minutes in zip(rows[2:5], (1, 5, 60), strict=True):
        assert row.startswith(f"{minutes} min 6 $0.0154 72 % 17 % 17 % ")
    assert any(row.startswith("large 1 $0.0110 2 1 ") for row in rows)
    assert any(row.startswith("small 4 $0.004400 6 2 ") for row in rows)
    steps = rows[rows.index("") :]
    steps = steps[next(place for place, row in enumerate(steps) if row.startswith("time ")) + 1 :]
    assert len(steps) == 6
    assert " clerk\N{REPLACEMENT CHARACTER}[3" in steps[0]
    assert " failed" in steps[0]
    assert " large fell back: ra" in steps[1] or " large rate limited fell back " in steps[1]
    assert steps[1].partition(" ")[2].startswith("a very long")
    assert " clerk/extract extraction small " in steps[2]
    assert " $0.001100 " in steps[2]


def test_a_wide_frame_has_the_status_beside_the_reason(url: str) -> None:
    narrow, wide = ("\n".join(frame(url, width=width)) for width in (80, 120))
    assert "status" not in narrow
    shown = [record.id[4:12] for record in records(url)]
    assert all(name in wide and name not in narrow for name in shown)
    assert " cheaper within loss " in wide
    assert " ok " in wide


@pytest.mark.parametrize("height", [10, 24, 50])
def test_a_fitted_frame_stays_within_the_height(url: str, height: int) -> None:
    with kept(url) as router:
        for _ in range(60):
            ask(router, agent="clerk")
    lines = frame(url, width=80, height=height, fitted=True)
    assert len(lines) == height
    assert any(line.startswith("small") for line in lines) == (height > 10)


def test_what_is_wrong_stands_above_the_tables(url: str) -> None:
    store = open_store(url)
    store.append(EVENTS, [json.dumps({**BREAKER, "at_s": time.time()}), "no event"])
    far = records(url)[0].model_copy(update={"id": f"dec_{'0' * 16}", "at_s": 1e300}).model_dump_json()
    store.append("decisions", ["{", json.dumps({"v": 99}), far])
    store.close()
    text = "\n".join(frame(url, width=120))
    assert "breaker of small open since " in text
    assert " (5 of the last 6 calls failed)" in text
    assert "4 rows of the ledger cannot be read, left out" in text


def test_an_empty_ledger_says_what_will_appear(command, folder: Path) -> None:
    open_store(f"sqlite:///{folder}/empty.db").close()
    ran = command("top", "--once", "--state", "sqlite:///empty.db")
    assert (ran.code, ran.err) == (0, "")
    assert "No step within the last hour." in ran.out
    assert "$0.00" in ran.out


def test_where_there_is_no_terminal_one_frame_is_printed(command, url: str) -> None:
    for arguments in (("top",), ("top", "--once")):
        ran = command(*arguments)
        assert (ran.code, ran.err) == (0, "")
        assert "\x1b" not in ran.out
        assert "clerk/extract" in ran.out


def test_the_figures_of_a_frame_are_one_json_document(command, url: str) -> None:
    document = json.loads(command("top", "--once", "--json").out)
    assert document["totals"]["1m"]["steps"] == 6
    assert document["totals"]["60m"]["saving"] == pytest.approx(1 - 0.0154 / 0.055)
    assert [row["model"] for row in document["models"]] == ["large", "small"]
    assert document["breakers"] == []


def test_a_store_that_goes_away_is_said_and_read_on_when_it_is_back(folder: Path) -> None:
    url = written(folder)
    with closing(Feed(Place(url, "default"))) as feed:
        seen: list[str] = []

        def poll() -> None:
            feed.poll(time.time(), lambda record: seen.append(record.id))

        poll()
        assert len(seen) == 3
        gone = folder / "gone"
        gone.mkdir()
        for file in folder.glob("taskrouter.db*"):
            file.rename(gone / file.name)
        poll()
        assert feed.away is not None
        assert feed.away.why.startswith("there is no state file ")
        first = feed.away
        poll()
        assert feed.away == first
        written(folder, steps=2)
        poll()
        assert feed.away is None
        assert seen[3:] == [record.id for record in records(url)]
        assert feed.passing.totals(60, time.time()).steps == 5


def test_a_store_that_cannot_be_read_is_said_too(folder: Path) -> None:
    url = written(folder)
    with closing(Feed(Place(url, "default"))) as feed:
        feed.poll(time.time())
        feed._begin_anew()
        for file in folder.glob("taskrouter.db*"):
            file.unlink()
        (folder / "taskrouter.db").write_bytes(b"no database at all, and longer than a header" * 100)
        feed.poll(time.time())
        assert feed.away is not None


class Screen:
    """A terminal with a program in it."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process, self._descriptor, self.shown = process, descriptor, ""

    def read(self) -> bool:
        """Take what is there; tell whether there may come more."""
        ready, _, _ = select.select([self._descriptor], [], [], 0.1)
        try:
            self.shown += os.read(self._descriptor, 65536).decode(errors="replace") if ready else ""
        except OSError:  # the other end is closed
            return False
        return True

    def until(self, holds: Callable[[str], bool]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not holds(self.shown):
            assert time.monotonic() < end_s, f"it never came to that: {self.shown[-2000:]}"
            assert self.read(), f"it ended: {self.shown[-2000:]}"

    def ended(self) -> int:
        while self.read():
            pass
        return self.process.wait(PATIENCE_S)


@contextmanager
def terminal(*arguments: str, folder: Path) -> Iterator[Screen]:
    """Run `taskrouter top` on a terminal of 80 columns and 24 lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    with subprocess.Popen(
        [*TOP, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**environment, "TERM": "xterm-256color"},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Screen(process, ours)
        finally:
            process.kill()
            os.close(ours)


@contextmanager
def routing(url: str) -> Iterator[Callable[[str], str]]:
    """Another process that makes a step of the node that it is told, and says the step's id."""
    with subprocess.Popen(
        [sys.executable, "-m", routed.__name__, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sent, said = process.stdin, process.stdout
        assert said.readline() == "ready\n"

        def make(node: str) -> str:
            sent.write(f"{node}\n")
            sent.flush()
            return said.readline().strip()

        yield make
        sent.close()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_steps_of_another_process_appear_and_a_signal_ends_it_cleanly(folder: Path, number: signal.Signals) -> None:
    url = written(folder)
    with terminal("--every", "0.1", folder=folder) as screen, routing(url) as make:
        screen.until(lambda shown: "clerk/extract" in shown)
        assert "\x1b[?1049h" in screen.shown  # the alternate screen
        for node in ("first", "second"):
            make(node)
            screen.until(lambda shown, node=node: f"live/{node}" in shown)  # type: ignore[misc]
        screen.process.send_signal(number)
        assert screen.ended() == 130
        rest = screen.shown[screen.shown.rindex("\x1b[?1049l") :]
        assert "\x1b[?25h" in screen.shown[screen.shown.rindex("\x1b[?25l") :]  # the cursor is back
        assert rest.strip().endswith("taskrouter: interrupted\x1b[0m")


def test_the_view_survives_its_store(folder: Path) -> None:
    written(folder)
    with terminal("--every", "0.1", folder=folder) as screen:
        screen.until(lambda shown: "clerk/extract" in shown)
        for file in folder.glob("taskrouter.db*"):
            file.unlink()
        screen.until(lambda shown: "not readable since" in shown)
        with kept(f"sqlite:///{folder}/taskrouter.db") as router:
            ask(router, agent="back", node="again")
        screen.until(lambda shown: "back/again" in shown)
        assert screen.process.poll() is None, "it goes on"


def test_it_ends_by_itself_after_the_seconds_it_was_given(folder: Path) -> None:
    written(folder)
    with terminal("--every", "0.1", "--seconds", "0.3", folder=folder) as screen:
        assert screen.ended() == 0
        assert "clerk/extract" in screen.shown


def test_every_step_that_passes_is_a_line_of_json(folder: Path) -> None:
    url = written(folder)
    with (
        subprocess.Popen([*TOP, "--json", "--every", "0.1"], stdout=subprocess.PIPE, text=True, cwd=folder) as process,
        routing(url) as make,
    ):
        assert process.stdout is not None
        seen: list[dict[str, object]] = []
        made = [make("first")]
        while not seen:  # what was made before it had begun to look is not shown
            ready, _, _ = select.select([process.stdout], [], [], 0.3)
            if ready:
                seen.append(json.loads(process.stdout.readline()))
            else:
                made.append(make("next"))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
    assert seen[0]["id"] in made
    assert (seen[0]["agent"], seen[0]["model"], seen[0]["status"]) == ("live", "small", "ok")
    assert seen[0]["cost_usd"] == pytest.approx(0.0011)
    assert seen[0]["baseline_usd"] == pytest.approx(0.011)
