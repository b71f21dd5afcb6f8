"""Does execution survive? Every fault of the simulator in every way to ask, then thousands of steps under fire.

    python -m benchmarks.chaos [--matrix | --soak]

Run from the root of the repository; `make chaos` does. It ends with 1 if anything is wrong, and says what and where.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # before anything imports litellm

from benchmarks.chaos import table
from benchmarks.chaos.matrix import failovers, judge, others
from benchmarks.chaos.soak import soak


def main() -> int:
    """Run what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--matrix", action="store_true", help="only the matrix")
    only.add_argument("--soak", action="store_true", help="only the soak")
    options = parser.parse_args()
    started = time.monotonic()
    wrong = 0
    if not options.soak:
        wrong += _matrix()
    if not options.matrix:
        wrong += _soak()
    print(f"\n{'nothing is wrong' if not wrong else f'WRONG: {wrong}'}, after {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


def _matrix() -> int:
    verdicts = judge([*failovers(), *others()])
    print(table.matrix(verdicts))
    print(f"\n{table.LEGEND}\n\n{table.others(verdicts)}")
    wrong = sum(bool(verdict.problems) for verdict in verdicts)
    print(f"\n{len(verdicts)} cells, {wrong} wrong")
    if wrong:
        print(table.problems(verdicts))
    return wrong


def _soak() -> int:
    wrong = 0
    for title, report in soak():
        print(f"\n{title}\n" + "\n".join(report.lines))
        for problem in report.problems[:20]:
            print(f"  WRONG {problem}")
        wrong += len(report.problems)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
