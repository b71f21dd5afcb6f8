"""The sub-package as a whole: light to import, and clear about what is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import autogen_taskrouter.agent_framework as door

MISSING = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'agent_framework':
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Blocked())
import autogen_taskrouter.agent_framework as door
try:
    door.RoutedChatClient
except ImportError as error:
    print(error)
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)  # noqa: PLW1510 - our own interpreter; the assertion below shows what went wrong
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_loads_no_framework() -> None:
    heavy = {"agent_framework", "autogen_core", "autogen_agentchat", "openai", "litellm"}
    code = f"import sys, autogen_taskrouter.agent_framework; print({heavy!r} & set(sys.modules))"
    assert run_python(code) == "set()"


def test_using_it_loads_neither_autogen_nor_a_provider() -> None:
    heavy = {"autogen_core", "autogen_agentchat", "openai", "litellm"}
    use = "from autogen_taskrouter.agent_framework import RoutedChatClient"
    assert run_python(f"import sys\n{use}\nprint({heavy!r} & set(sys.modules))") == "set()"


def test_a_missing_framework_is_told_with_the_extra_that_brings_it() -> None:
    assert run_python(MISSING) == (
        "RoutedChatClient needs 'agent_framework', which is not installed: "
        "pip install 'autogen-taskrouter[agent-framework]'"
    )


def test_the_public_surface_is_small() -> None:
    assert door.__all__ == ["RoutedChatClient"]
    with pytest.raises(AttributeError, match="has no attribute 'RoutedClient'"):
        door.RoutedClient  # noqa: B018 - asking is the test
