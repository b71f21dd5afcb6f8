"""`python -m benchmarks.viewer --python PYTHON_WITH_PHOENIX`: does a viewer show what the router has done?

Starts Phoenix on loopback, runs one agent of each framework against simulated models with its spans sent there, asks
Phoenix what it shows, and takes pictures for the documentation. Prints a line for each check; exit code 1 if one fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.viewer import browser
from benchmarks.viewer.checks import Check, check_all
from benchmarks.viewer.pictures import MOST_BYTES, take
from benchmarks.viewer.run import AGENTS
from benchmarks.viewer.shown import wait_for

from taskrouter.cli import phoenix

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run all checks; return the exit code."""
    options = _options()
    if options.pictures:
        browser.executable()
        options.images.mkdir(parents=True, exist_ok=True)
    command, port = phoenix.find(options.python), phoenix.free_port(0)
    measured: dict[str, Any] = {"phoenix": _version(options.python), "runs": []}
    checks: list[tuple[str, Check]] = []
    with tempfile.TemporaryDirectory() as data:
        started_s = time.monotonic()
        with phoenix.running(command, port, Path(data)) as viewer:
            measured["start_s"] = round(time.monotonic() - started_s, 2)
            print(f"Phoenix {measured['phoenix']} serves after {measured['start_s']} s", flush=True)
            for agent in AGENTS:
                for check in _checked(viewer.url, agent, measured["runs"], options):
                    checks.append((agent, check))
                    print(f"{agent:<25} {'FAILED' if check.found else 'ok':<7} {check.name}", end="")
                    print(f": {check.found}" if check.found else "", flush=True)
    failures = [visit for run in measured["runs"] for visit in run["failed_visits"]]
    checks.append(("all", Check("some attempt has failed", "" if failures else "none: nothing was proved of failures")))
    print(f"{'all':<25} {'ok' if failures else 'FAILED':<7} some attempt has failed: {', '.join(failures)}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "viewer.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    bad = sum(bool(check.found) for _, check in checks)
    print(f"{len(checks) - bad} of {len(checks)} checks hold; measured: {options.out / 'viewer.json'}")
    return 1 if bad else 0


def _checked(address: str, agent: str, runs: list[dict[str, Any]], options: argparse.Namespace) -> Iterator[Check]:
    """Run one agent and check what is shown of it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.viewer.run", agent, address, f"taskrouter-{agent}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    ended_s = time.monotonic()
    if done.returncode:
        yield Check("the agent runs", done.stderr.strip().splitlines()[-1])
        return
    run = json.loads(done.stdout)
    visits = [visit for step in run["steps"] for visit in step["visits"]]
    try:
        shown = wait_for(address, f"taskrouter-{agent}", run["trace_id"], run["spans"])
    except TimeoutError as error:
        yield Check("all spans arrive", str(error))
        return
    runs.append(
        {
            "agent": agent,
            "run_s": round(run["run_s"], 2),
            "shown_after_s": round(time.monotonic() - ended_s, 2),
            "spans": len(shown.spans),
            "steps": len(run["steps"]),
            "attempts": len(visits),
            "failed_visits": [f"{v['endpoint']} {v['error_type']}" for v in visits if v["error_type"]],
            "tokens": shown.tokens_rest,
        }
    )
    yield from check_all(run, shown)
    if options.pictures and AGENTS[agent].instrument is None:
        path = options.images / f"trace-{agent}.png"
        elsewhere = take(address, shown, run["trace_id"], path)
        yield Check("the viewer's page asks nobody else for anything", ", ".join(elsewhere))
        size = path.stat().st_size
        yield Check(f"a picture of at most {MOST_BYTES // 1000} kB", "" if size <= MOST_BYTES else f"{size} bytes")


def _version(python: Path) -> str:
    asked = "from importlib.metadata import version; print(version('arize-phoenix'))"
    return subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewer", description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="Python of an environment with arize-phoenix")
    parser.add_argument("--images", type=Path, default=ROOT / "docs/images", help="where the pictures go")
    parser.add_argument("--no-pictures", dest="pictures", action="store_false", help="take none")
    parser.add_argument("--out", type=Path, default=ROOT / ".benchmarks", help="where the measurements go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
