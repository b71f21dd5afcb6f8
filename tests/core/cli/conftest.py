"""The command line as a user meets it: arguments and standard input in; two streams and an exit code out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from taskrouter.cli.app import main

GOOD = """
[router]
incumbent = "large"

[[models]]
id = "small"
model = "openai/gpt-4o-mini"

[[models]]
id = "large"
model = "openai/gpt-4o"

[[models]]
id = "house"
base_url = "http://localhost:8000/v1"
api_key = "env:HOUSE_KEY"

[[rules]]
name = "planner"
when = { node = "plan*" }
use = ["small"]
"""


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command: TypeAlias = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOUSE_KEY", raising=False)
    return tmp_path


@pytest.fixture
def good(folder: Path) -> Path:
    """A configuration without mistakes."""
    path = folder / "good.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `taskrouter` in this process."""

    def run(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["taskrouter", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        code = 0
        try:
            main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def process(folder: Path) -> Command:
    """Run `taskrouter` as a process of its own; `code` is what runs before it."""

    def run(*arguments: str, stdin: bytes = b"", code: str = "", **environment: str) -> Ran:
        program = f"{code}\nimport sys\nsys.argv[0] = 'taskrouter'\nfrom taskrouter.cli.app import main\nmain()"
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, **environment},
        )
        return Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    return run
