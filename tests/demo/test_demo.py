"""The demo as a newcomer runs it: the command, its table, its trace and its page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskrouter.ledger import Ledger
from taskrouter.simulator import RunningServer

TASKROUTER = Path(sys.executable).with_name("taskrouter")


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TASKROUTER, "demo", "--out", folder, *options],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "80"},
        timeout=120,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    done = demo(folder, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_agent_takes_steps_of_different_kinds_on_different_models(document: dict[str, Any]) -> None:
    steps = document["run"]["steps"]
    assert len(steps) >= 5
    assert len({step["task_type"] for step in steps}) >= 5
    assert len({step["model"] for step in steps}) >= 3
    assert all(step["cost_usd"] > 0 for step in steps)


def test_the_failing_model_costs_attempts_and_no_answer(document: dict[str, Any]) -> None:
    fallen = [step for step in document["run"]["steps"] if step["attempts"] > 1]
    assert [step["why"] for step in fallen] == ["flaky failed, fell back"]
    assert document["run"]["error"] is None


def test_the_run_is_compared_with_every_model_and_policy(document: dict[str, Any]) -> None:
    runs = {run["name"]: run for run in document["alternatives"]}
    assert set(runs) == {"small", "medium", "large", "flaky", "safe", "balanced", "economy"}
    assert runs["flaky"]["error"] == "no model answered"
    assert runs["safe"]["cost_usd"] == pytest.approx(runs["large"]["cost_usd"], rel=0.2)
    assert document["run"]["cost_usd"] < runs["large"]["cost_usd"]
    assert document["simulated"] is True


def test_the_trace_is_otlp_with_the_attempts_beneath_the_routes(document: dict[str, Any]) -> None:
    trace = json.loads(Path(document["trace"]).read_text(encoding="utf-8"))
    spans = [span for r in trace["resourceSpans"] for scope in r["scopeSpans"] for span in scope["spans"]]
    routes = {span["spanId"] for span in spans if span["name"].startswith("route ")}
    chats = [span for span in spans if span["name"].startswith("chat ")]
    assert len(routes) == len(document["run"]["steps"])
    assert {span["parentSpanId"] for span in chats} == routes
    assert len({span["traceId"] for span in spans}) == 1
    assert all(re.fullmatch("[0-9a-f]{32}", span["traceId"]) for span in spans)


def test_the_run_is_in_a_ledger_that_reports_read(document: dict[str, Any]) -> None:
    with Ledger.open(f"sqlite:///{document['ledger']}") as ledger:
        kept = {record.id: record for record in ledger.records()}
    assert list(kept) == [step["decision_id"] for step in document["run"]["steps"]]
    assert sum(record.outcome.cost_usd or 0.0 for record in kept.values()) == pytest.approx(document["run"]["cost_usd"])


def test_the_page_stands_alone(document: dict[str, Any]) -> None:
    page = Path(document["report"]).read_text(encoding="utf-8")
    assert "simulated" in page
    assert not re.search(r"(src|href)=|https?://|<script", page)


def test_the_table_fits_a_terminal_of_80_columns(folder: Path) -> None:
    done = demo(folder)
    assert done.returncode == 0, done.stderr
    assert "write_code" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "\x1b" not in done.stdout


def test_its_last_lines_can_be_run_as_they_stand(folder: Path) -> None:
    done = demo(folder)
    assert "step ended" not in done.stderr, "the model that is down is in the table, not in the log"
    report, explain, view = (line.split() for line in done.stderr.splitlines()[-5::2])
    assert view[1:] == ["view", str(folder / "trace.json")]
    for command, said in (([*report, "--json"], '"total": 7'), (explain, "decision  dec_")):
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert said in ran.stdout


def test_an_unknown_agent_and_a_folder_without_documents_are_said_plainly(tmp_path: Path) -> None:
    for options, message in (
        (["--agent", "nobody"], "unknown agent 'nobody'; installed: langgraph"),
        (["--docs", str(tmp_path)], "no Markdown files"),
        (["--live", str(tmp_path / "missing.toml")], "missing.toml: cannot be read"),
    ):
        done = demo(tmp_path, *options)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_live_runs_the_models_of_a_configuration(tmp_path: Path, server: RunningServer) -> None:
    config = tmp_path / "taskrouter.toml"
    models = "\n".join(
        f'[[models]]\nid = "{name}"\nbase_url = "{server.base_url}"\ninput_usd_per_million = 1.0\n'
        f"output_usd_per_million = 4.0\ncapabilities = {{ tools = true, json_schema = true }}\n"
        for name in ("first", "second")
    )
    config.write_text(f'[router]\nincumbent = "first"\n\n{models}', encoding="utf-8")
    done = demo(tmp_path, "--live", str(config), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["simulated"] is False
    assert document["alternatives"] == []
    assert {step["model"] for step in document["run"]["steps"]} == {"first"}
    assert len(server.requests) == len(document["run"]["steps"])
