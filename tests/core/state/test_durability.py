"""What a store has acknowledged survives the death of its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "durability.py"


def test_what_a_killed_writer_was_told_is_in_the_file() -> None:
    command = [sys.executable, str(BENCHMARK), "--kills", "2", "--appends", "200"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    table = [line.split() for line in done.stdout.splitlines()]
    kills = [
        dict(zip(("kill", "acknowledged", "found", "lost", "amounts", "integrity"), row, strict=True))
        for row in table[1:3]
    ]
    assert [(kill["lost"], kill["amounts"], kill["integrity"]) for kill in kills] == [("0", "0", "ok")] * 2
    assert sum(int(kill["acknowledged"]) for kill in kills) > 0
