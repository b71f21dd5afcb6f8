"""What all commands share: help, exit codes, one line per error, plain output in pipes."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from taskrouter import __version__
from taskrouter.cli.app import build

COMMANDS = ["demo", "route", "models", "check", "calibrate", "evaluate", "simulate", "explain", "top"]

HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def test_the_version_is_the_packages(command) -> None:
    assert command("--version") == (0, f"{__version__}\n", "")


def test_without_arguments_the_commands_are_shown() -> None:
    result = CliRunner().invoke(build(), [])
    assert all(name in result.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_offers_json(name: str) -> None:
    result = CliRunner().invoke(build(), [name, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert f"taskrouter {name}" in result.output.replace("root", "taskrouter")
    assert "--json" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope",), "No such command 'nope'"),
        (("route",), "Missing argument"),
        (("route", "hi", "--nope"), "No such option"),
        (("models", "--limit", "-1"), "Invalid value for '--limit'"),
    ],
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(command, arguments: tuple[str, ...], message: str) -> None:
    ran = command(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_an_error_is_one_line_on_standard_error_in_a_process_too(process) -> None:
    ran = process("route", "hi", "--task", "nope")
    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(r"taskrouter: unknown task type 'nope'.*\n", ran.err)


@pytest.mark.parametrize(
    ("arguments", "hidden", "extra"),
    [
        (("simulate", "--port", "0"), {"starlette", "uvicorn"}, "simulate"),
        (("demo",), {"starlette", "uvicorn"}, "simulate"),
    ],
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(
    process, arguments: tuple[str, ...], hidden: set[str], extra: str
) -> None:
    ran = process(*arguments, code=HIDE.format(hidden=hidden))
    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(rf"taskrouter: .* is not installed: pip install 'taskrouter\[{extra}\]'\n", ran.err)


def test_commands_that_need_no_extra_work_without_any(process) -> None:
    hidden = {"numpy", "sklearn", "matplotlib", "litellm", "openai", "starlette", "uvicorn"}
    ran = process("route", "hi", "--json", code=HIDE.format(hidden=hidden))
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["model"] == "large"


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("route", "hi"), {}),
        (("models", "gpt-4o-mini"), {"TERM": "xterm-256color"}),
        (("route", "hi", "--task", "nope"), {"NO_COLOR": "1", "TERM": "xterm-256color"}),
    ],
)
def test_a_pipe_gets_no_escape_codes(process, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    ran = process(*arguments, **environment)
    assert ran.out + ran.err
    assert "\x1b" not in ran.out + ran.err


def test_no_color_is_heeded_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm-256color"}
    program = [
        sys.executable,
        "-c",
        "from taskrouter.cli.app import main; main()",
        "models",
        "gpt-4o-mini",
        "--limit",
        "1",
    ]
    done = subprocess.run(program, stdout=theirs, stderr=theirs, env=environment, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "gpt-4o-mini" in shown
    assert not re.search(r"\x1b\[(?:\d+;)*[34]\d", shown)


def test_a_terminal_that_cannot_show_a_sign_still_shows_the_rest(process) -> None:
    ran = process("route", "hé", PYTHONIOENCODING="ascii")
    assert ran.code == 0
    assert "decided in" in ran.out


def test_a_full_disk_is_one_line(command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("taskrouter.cli.route.out", Console(file=Full()))
    assert command("route", "hi") == (1, "", "taskrouter: No space left on device\n")


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    program = [sys.executable, "-c", "from taskrouter.cli.app import main; main()", "models", "--limit", "0", "--json"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as left:
        assert left.stdout is not None
        assert left.stderr is not None
        assert left.stdout.readline() == b"{\n"
        left.stdout.close()
        assert b"Traceback" not in left.stderr.read()


def test_results_go_to_standard_output_and_remarks_beside_them(process, good: Path) -> None:
    ran = process("models", "--config", "good.toml", "--json")
    assert [model["id"] for model in json.loads(ran.out)["models"]] == ["small", "large", "house"]
    assert ran.err == ""
