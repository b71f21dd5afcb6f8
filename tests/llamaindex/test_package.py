"""What the package loads, and what it leaves alone in the namespace that it shares with others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import llama_index.llms.taskrouter as package

SOURCE = Path(__file__).parents[2] / "packages/llamaindex/src"
HEAVY = ("litellm", "openai", "anthropic", "langchain_core", "autogen_core", "agent_framework", "langchain_taskrouter")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)  # noqa: PLW1510 - our own interpreter and code; the assertion below shows what went wrong
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_root_exports_what_it_says() -> None:
    assert package.__all__ == ["RoutedLLM"]
    assert package.RoutedLLM.class_name() == "RoutedLLM"


def test_importing_it_loads_no_client_and_no_other_framework() -> None:
    # LlamaIndex's core itself may load some: what counts is what comes on top of it.
    found = run(
        "import sys\nimport llama_index.core.llms.function_calling\nbefore = set(sys.modules)\n"
        f"import llama_index.llms.taskrouter\nprint([n for n in {HEAVY!r} if n in set(sys.modules) - before])"
    )
    assert found.strip() == "[]"


def test_a_string_candidate_is_made_without_litellm() -> None:
    found = run(
        "import sys\nfrom llama_index.llms.taskrouter import RoutedLLM\n"
        "RoutedLLM({'a': 'openai/gpt-4o', 'b': 'anthropic/claude-sonnet-4-5'}, 'a')\n"
        "print('litellm' in sys.modules, 'openai' in sys.modules)"
    )
    assert found.split() == ["False", "False"]


@pytest.mark.parametrize("place", ["llama_index", "llama_index/llms"])
def test_the_shared_namespaces_have_no_init(place: str) -> None:
    assert (SOURCE / place).is_dir()
    assert not (SOURCE / place / "__init__.py").exists()


def test_its_neighbours_are_found() -> None:
    found = run(
        "import llama_index.llms.taskrouter, llama_index.llms.openai, llama_index.llms.anthropic, llama_index.core\n"
        "from llama_index.core.llms import LLM\n"
        "print(LLM.__name__)"
    )
    assert found.strip() == "LLM"


def test_it_is_typed() -> None:
    assert (SOURCE / "llama_index/llms/taskrouter/py.typed").exists()
