"""`import taskrouter` stays cheap: what is heavy or optional is loaded when it is needed, and not before."""

from __future__ import annotations

import subprocess
import sys

import pytest

OPTIONAL = {"numpy", "litellm", "openai", "opentelemetry.sdk", "redis", "sklearn", "matplotlib", "starlette", "uvicorn"}
FRAMEWORKS = {"langchain", "langchain_core", "langchain_taskrouter", "langgraph", "llama_index", "autogen_core"}

ROUTE = """
from taskrouter import Router, Step, plugins
plugins._installed = lambda: ()  # an installed adapter brings its framework; here it is about core alone
Router(["openai/gpt-4o-mini"]).route(Step(messages=[{"role": "user", "content": "Translate this into French."}]))
"""


def modules_after(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after the code."""
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_but_itself() -> None:
    loaded = modules_after("import taskrouter")
    assert not loaded & (OPTIONAL | FRAMEWORKS | {"pydantic", "jsonschema", "typer", "rich", "pluggy", "asyncio"})
    assert {name for name in loaded if name.startswith("taskrouter")} == {"taskrouter"}


@pytest.mark.parametrize("code", ["from taskrouter import Router", "from taskrouter import *"])
def test_importing_the_router_loads_nothing_optional(code: str) -> None:
    loaded = modules_after(code)
    assert "taskrouter.router" in loaded
    assert not loaded & (OPTIONAL | FRAMEWORKS | {"jsonschema", "typer", "rich"})


def test_deciding_without_tools_loads_nothing_optional_either() -> None:
    loaded = modules_after(ROUTE)
    assert not loaded & (OPTIONAL | {"jsonschema", "typer", "rich"})


def test_the_errors_can_be_caught_without_loading_the_router() -> None:
    loaded = modules_after("from taskrouter import TaskRouterError, ConfigurationError")
    assert "taskrouter.router" not in loaded
    assert "pydantic" not in loaded
