"""Beside Traceloop's instrumentation of LangChain: one trace, the right parents, and tokens counted once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.standins.brain import GREETING

WAYS = pytest.mark.parametrize("way", ["ask", "stream", "aask", "astream"])
WORDS = len(GREETING.split())


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What the program saw. It also checks what holds for the spans of every step."""
    command = [sys.executable, "-m", "tests.observability.beside_traceloop"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert "telemetry failed" not in done.stderr
    assert "detach" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@WAYS
@pytest.mark.parametrize("owner", ["taskrouter", "framework"])
def test_a_route_lies_beneath_the_current_span_beside_the_instrumentations(
    seen: dict[str, Any], owner: str, way: str
) -> None:
    """Its span of a call to a model is never the current one, and nobody can ask for it."""
    (step,) = seen[f"{owner}, {way}"]
    assert (step["above"], step["beside"]) == (["request"], ["RoutedChatModel.chat"])


@WAYS
def test_with_the_framework_as_owner_every_viewer_counts_tokens_once(seen: dict[str, Any], way: str) -> None:
    (step,) = seen[f"framework, {way}"]
    assert (step["openinference"], step["genai"], step["tokens"]) == (WORDS, WORDS, WORDS)


@WAYS
def test_with_us_as_owner_both_are_counted(seen: dict[str, Any], way: str) -> None:
    (step,) = seen[f"taskrouter, {way}"]
    assert (step["openinference"], step["genai"], step["tokens"]) == (2 * WORDS, 2 * WORDS, WORDS)


@WAYS
def test_a_fallback_keeps_the_tree(seen: dict[str, Any], way: str) -> None:
    (step,) = seen[f"fallback, {way}"]
    assert (step["above"], step["outcomes"]) == (["request"], ["failed", "ok"])


def test_steps_of_an_agent_lie_beneath_its_nodes(seen: dict[str, Any]) -> None:
    assert [step["above"] for step in seen["agent"]] == [
        ["execute_task model", "helper.workflow", "invoke_agent helper", "request"]
    ] * 2
