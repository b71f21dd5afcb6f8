"""The command line without its script."""

from __future__ import annotations

import subprocess
import sys

from taskrouter import __version__


def test_python_m_taskrouter_is_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "taskrouter", "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, __version__, "")
