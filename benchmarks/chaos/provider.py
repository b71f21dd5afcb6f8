"""The provider of the soak: a simulator in a process of its own, so that its memory and its work are not ours."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.chaos.expected import INSTANT

from taskrouter.simulator.config import FAULTS, Fault

FLAKY, SHAKY, HEALTHY = "flaky", "shaky", "healthy"
FAULTS_IN_TEN = 3
ALWAYS = {f"always_{fault}": fault for fault in INSTANT}
"""Models for the direct measurement, by what they meet with every request."""


@contextmanager
def simulator() -> Iterator[str]:
    """Run the simulator in a process of its own, so that its memory and its work are not ours."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "soak.toml"
        path.write_text(_configuration(), encoding="utf-8")
        command = [sys.executable, "-m", "taskrouter", "simulate", str(path), "--port", "0", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                said = ""
                while not said.rstrip().endswith("}") or not _is_json(said):
                    line = process.stdout.readline()
                    assert line, "the simulator did not start"
                    said += line
                yield str(json.loads(said)["base_url"])
            finally:
                process.terminate()


def _configuration() -> str:
    rate = FAULTS_IN_TEN / 10 / len(FAULTS)
    # Two models that both call a request wrong end its step, by design: so only one of ours says so wrongly.
    rates: dict[str, dict[Fault, float]] = {
        FLAKY: dict.fromkeys(FAULTS, rate),
        SHAKY: {fault: rate for fault in FAULTS if fault != "bad_request"},
    }
    rates |= {HEALTHY: {}, **{name: {fault: 1.0} for name, fault in ALWAYS.items()}}
    text = "speed = 0\nseed = 7\n"
    for name, faults in rates.items():
        skill = 1 if name == HEALTHY else 0
        text += f'[[models]]\nid = "{name}"\ninput_usd_per_million = 1\noutput_usd_per_million = 4\nskill = {skill}\n'
        text += "[models.faults]\nretry_after_s = 0.05\nhang_s = 20\nslow_start_s = 10\n"
        text += "".join(f"{fault} = {probability}\n" for fault, probability in faults.items())
    return text


def pool(url: str, *names: str) -> list[dict[str, Any]]:
    """Return the cards of models, each with a larger window than the one before: an overflow has somewhere to go."""
    common: dict[str, Any] = {"base_url": url, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
    common["capabilities"] = {"tools": True, "json_schema": True}
    return [{"id": name, "context_tokens": 64_000 * 2**place, **common} for place, name in enumerate(names)]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
