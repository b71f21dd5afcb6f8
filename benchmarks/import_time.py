"""How long imports take, each in a fresh interpreter: ours beside its parts and its peers.

python benchmarks/import_time.py [--rounds 7] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

STATEMENTS = (
    "pass",
    "import asyncio",
    "import pydantic",
    "import taskrouter",
    "from taskrouter import Step",
    "from taskrouter import Router",
    "import openai",
    "import litellm",
)
TARGET_MS = 150.0
_TIMED = "import time; t = time.perf_counter(); {}; print((time.perf_counter() - t) * 1000)"


def measure(rounds: int) -> dict[str, float]:
    """Median milliseconds of each statement; the statements take turns, so that noise hits all alike."""
    times: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    for _ in range(rounds):
        for statement in STATEMENTS:
            done = subprocess.run(
                [sys.executable, "-c", _TIMED.format(statement)],
                check=True,
                capture_output=True,
                text=True,
                env=environment,
            )
            times[statement].append(float(done.stdout))
    return {statement: statistics.median(values) for statement, values in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    medians = measure(options.rounds)
    if options.json:
        print(json.dumps({"median_ms": medians, "target_ms": {"import taskrouter": TARGET_MS}}, indent=2))
        return
    for statement, median in medians.items():
        target = f"   target <= {TARGET_MS:.0f} ms" if statement == "import taskrouter" else ""
        print(f"{statement:<30} {median:8.1f} ms{target}")


if __name__ == "__main__":
    main()
