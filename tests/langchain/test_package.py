"""The package as a whole: light to import, found as a plugin, with a demo agent that works."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from tests.watcher import Watcher

import langchain_taskrouter
from langchain_taskrouter.demo import first_step, search_tool
from langchain_taskrouter.plugin import LangGraphDemo
from taskrouter import Router
from taskrouter.plugins import load_plugins, offered
from taskrouter.ports import DemoStage
from taskrouter.simulator import RunningServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "langgraph_agent.py"


HEAVY = {"litellm", "openai", "langchain_openai", "langgraph", "langchain", "opentelemetry.sdk", "numpy"}


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)  # noqa: PLW1510 - our own interpreter; the assertion below shows what went wrong
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["langchain_taskrouter", "langchain_taskrouter.plugin"])
def test_importing_loads_no_provider(module: str) -> None:
    code = (
        "import sys, langchain_core.language_models as base, langsmith.run_helpers; before = set(sys.modules)\n"
        f"import {module}; print({HEAVY!r} & (set(sys.modules) - before))"
    )
    assert run_python(code).strip() == "set()"


def test_the_public_surface_is_small() -> None:
    assert langchain_taskrouter.__all__ == ["RoutedChatModel", "RoutingMiddleware"]


def test_the_demo_is_found_through_its_entry_point() -> None:
    assert "langchain" in {point.name for point in entry_points(group="taskrouter")}
    assert isinstance(offered(load_plugins().hook.taskrouter_demos(), "demo")["langgraph"], LangGraphDemo)


def test_the_demo_agent_does_its_six_jobs(server: RunningServer, pool: list[dict[str, object]], tmp_path: Path) -> None:
    (tmp_path / "rates.md").write_text("# Rates\n\nThe nightly rate of the harbour hotel is 120 euros.\n", "utf-8")
    watcher = Watcher()
    router = Router(pool, "first", plugins=[watcher])
    task = "Find out what the harbour hotel costs and write a function that returns the sum of a list."
    stage = DemoStage(router=router, base_url=server.base_url, docs=str(tmp_path), task=task)
    answer = LangGraphDemo().run(stage)
    assert "def " in answer
    nodes = [outcome.decision.context.node for outcome in watcher.outcomes]
    assert nodes == ["plan", "retrieve", "retrieve", "extract", "write_code", "verify", "sum_up"]
    assert {r.model for r in server.requests} == {"first"}


def test_the_demo_searches_real_files(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Boats\n\nThe ferry leaves the harbour every morning at nine.\n", "utf-8")
    (tmp_path / "b.md").write_text("# Trains\n\nThe night train to the mountains leaves at ten.\n", "utf-8")
    found = search_tool(tmp_path).invoke({"query": "When does the ferry leave the harbour?"})
    assert found.startswith("[a.md]\nThe ferry leaves")


@pytest.mark.parametrize(
    ("plan", "step"),
    [("1. Search\n2. Write", "Search"), ("Plan:\n1) **Search**", "Search**"), ("Just search", "Just search"), ("", "")],
)
def test_the_first_step_of_a_plan_is_found(plan: str, step: str) -> None:
    assert first_step(plan) == step


def test_the_example_runs_without_a_key() -> None:
    done = subprocess.run([sys.executable, "-W", "error", str(EXAMPLE)], capture_output=True, text=True, timeout=60)  # noqa: PLW1510 - our own interpreter; the assertion below shows what went wrong
    assert done.returncode == 0, done.stderr
    assert "answer" in done.stdout
