"""`taskrouter calibrate` as a process: killed and run again, repeated, ended by signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.core.calibration.conftest import PRICES, Suites

from taskrouter.cli.calibrate import seconds
from taskrouter.errors import ConfigurationError
from taskrouter.simulator import RunningServer

PROGRAM = "import sys\nsys.argv[0] = 'taskrouter'\nfrom taskrouter.cli.app import main\nmain()"
Command: TypeAlias = Callable[..., list[str]]


@pytest.fixture
def config(models: RunningServer, tmp_path: Path) -> Path:
    """A configuration file with the three models and a state."""
    path = tmp_path / "taskrouter.toml"
    path.write_text(toml(models, tmp_path, tuple(PRICES)), encoding="utf-8")
    return path


def toml(models: RunningServer, folder: Path, names: tuple[str, ...]) -> str:
    head = f'[router]\nincumbent = "dear"\n[execution]\nretries = 0\n[state]\nurl = "sqlite:///{folder}/state.db"\n'
    cards = (
        f'[[models]]\nid = "{name}"\nbase_url = "{models.base_url}"\n'
        f"input_usd_per_million = {PRICES[name]}\noutput_usd_per_million = {4 * PRICES[name]}\n"
        for name in names
    )
    return head + "".join(cards)


@pytest.fixture
def started(tmp_path: Path, config: Path) -> Callable[..., Any]:
    """Start `taskrouter calibrate` and end it with the block."""

    @contextmanager
    def start(*arguments: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "calibrate", "--suite", "cases.jsonl", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    return start


def ran(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_it_prints_models_and_identities(started: Any, sums: Suites) -> None:
    sums(60)
    with started() as process:
        code, out, err = ran(process)
    assert code == 0, err
    assert "incumbent" in out
    assert "/adder" in out
    assert "as without labels ->" in out
    assert "60 cases; 180 answers paid" in out


def test_a_run_that_is_killed_goes_on_where_it_was(started: Any, sums: Suites, models: RunningServer) -> None:
    sums(40)
    with started("--concurrency", "2") as process:
        assert models.wait_for(lambda records: len(records) > 15, timeout_s=30)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert models.wait_for(lambda records: all(record.done for record in records))
    paid = len(models.requests)
    with started("--json") as process:
        code, out, err = ran(process)
    assert code == 0, err
    report = json.loads(out)
    assert report["known"] + report["asked"] == 120
    assert paid - 2 <= report["known"] <= paid
    assert len(models.requests) <= 122


def test_a_line_that_was_cut_off_is_no_loss(started: Any, sums: Suites, tmp_path: Path) -> None:
    sums(3)
    with started() as process:
        assert ran(process)[0] == 0
    results = tmp_path / "cases.results.jsonl"
    whole = results.read_bytes()
    results.write_bytes(whole[:-40])
    with started("--json") as process:
        code, out, err = ran(process)
    assert code == 0, err
    assert json.loads(out)["asked"] == 1
    assert len([line for line in results.read_bytes().split(b"\n") if line]) == 10


def test_it_repeats_until_a_signal_and_takes_in_what_was_added(
    started: Any, sums: Suites, models: RunningServer, tmp_path: Path, config: Path
) -> None:
    config.write_text(toml(models, tmp_path, ("cheap", "dear")), encoding="utf-8")
    sums(4)
    with started("--every", "0.2s", "--json") as process:
        assert models.wait_for(lambda records: len(records) == 8, timeout_s=30)
        sums(5)
        config.write_text(toml(models, tmp_path, tuple(PRICES)), encoding="utf-8")
        assert models.wait_for(lambda records: len(records) == 15, timeout_s=30)
        process.send_signal(signal.SIGTERM)
        code, out, err = ran(process)
    assert code == 0, err
    decoder, reports = json.JSONDecoder(), []
    while out.strip():
        report, end = decoder.raw_decode(out.strip())
        reports.append(report)
        out = out.strip()[end:]
    assert sum(report["asked"] for report in reports) == 15
    assert [m["model"] for report in reports for m in report["models"] if m["new"]] == ["fair"]
    assert "Traceback" not in err


def test_a_round_that_fails_is_said_and_the_next_one_comes(
    started: Any, sums: Suites, models: RunningServer, tmp_path: Path
) -> None:
    (tmp_path / "cases.jsonl").write_text("no json\n", encoding="utf-8")
    with started("--every", "0.2s") as process:
        assert process.stderr is not None
        assert "not a JSON document" in process.stderr.readline()
        sums(2)
        assert models.wait_for(lambda records: len(records) == 6, timeout_s=30)
        process.send_signal(signal.SIGINT)
        assert ran(process)[0] == 0


def test_the_first_signal_lets_what_is_under_way_end(started: Any, sums: Suites, models: RunningServer) -> None:
    sums(200)
    with started("--concurrency", "2", "--json") as process:
        assert models.wait_for(lambda records: len(records) > 5, timeout_s=30)
        process.send_signal(signal.SIGINT)
        code, out, err = ran(process)
    assert code == 1, err
    report = json.loads(out)
    assert report["stopped"] == "interrupted"
    assert report["asked"] == len(models.requests)
    assert report["asked"] + report["undone"] == 600


def test_a_wrong_file_of_results_is_an_error(started: Any, sums: Suites, tmp_path: Path) -> None:
    sums(2)
    with started("--results", "cases.jsonl") as process:
        code, _, err = ran(process)
    assert code == 2
    assert err == "taskrouter: cases.jsonl:1: is no result of `taskrouter calibrate`; name another file\n"


@pytest.mark.parametrize(("text", "expected"), [("90s", 90.0), ("30m", 1800.0), ("6h", 21_600.0), ("1.5d", 129_600.0)])
def test_times_are_read(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["6", "h", "0h", "-1h", "6 weeks"])
def test_what_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="such as 90s, 30m, 6h or 1d"):
        seconds(text)
