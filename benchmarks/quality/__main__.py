"""How good is the routing? Our policies and their peers on recorded outcomes of real models.

    python -m benchmarks.quality [--data ../shared/data/recordings] [--only splits online ...] [--json FILE]
        [--markdown FILE] [--docs FILE] [--plot DIR]

Run from the root of the repository; `make bench-quality` does. No model is called. It ends with 0 whether or not the
targets are met: what is missed is listed at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # before anything imports litellm
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes share two cores; before anything imports numpy
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from benchmarks.quality import categories, certificates, labels, online, plot, runs, splits, transfer
from benchmarks.quality.data import find
from benchmarks.quality.documents import update, write_json, write_markdown
from benchmarks.quality.jobs import run
from benchmarks.quality.section import Section

EXPERIMENTS: dict[str, Any] = {e.NAME: e for e in (splits, categories, labels, online, runs, transfer, certificates)}
PROCESSES = 2


def main() -> int:
    """Run what is asked for and print it."""
    options = _options()
    files = find(options.data)
    if not files:
        print(f"{options.data}: no recordings (*.jsonl, *.jsonl.gz); name their folder with --data", file=sys.stderr)
        return 2
    started = time.monotonic()
    sections = []
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        waiting = {name: [pool.submit(run, job) for job in EXPERIMENTS[name].jobs(files)] for name in options.only}
        for name, futures in waiting.items():
            if not futures:
                print(f"\n{name}: its recording is not in {options.data}")
                continue
            sections.append(_finished(name, futures))
            _show(sections[-1])
    _conclude(sections, time.monotonic() - started)
    _write(sections, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/recordings"), help="folder of recordings")
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), default=list(EXPERIMENTS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="renew the tables that this document shows")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw each recording's splits into that folder")
    return parser.parse_args()


def _finished(name: str, futures: Sequence[Future[Any]]) -> Section:
    section: Section = EXPERIMENTS[name].section([future.result() for future in futures])
    return section


def _show(section: Section) -> None:
    print(f"\n== {section.name}: {section.title}")
    for note in section.notes:
        print(note)
    for table in section.tables:
        print(f"\n{table.plain()}", flush=True)


def _conclude(sections: Sequence[Section], seconds: float) -> None:
    checks = {f"{s.name}: {check}": met for s in sections for check, met in s.checks.items()}
    print(f"\n{sum(checks.values())} of {len(checks)} targets met, after {seconds:.0f} s")
    for check, met in checks.items():
        if not met:
            print(f"  MISSED {check}")


def _write(sections: Sequence[Section], options: argparse.Namespace) -> None:
    if options.json:
        write_json(sections, options.json)
    if options.markdown:
        write_markdown(sections, options.markdown)
    if options.docs:
        for name in update(sections, options.docs):
            print(f"{options.docs}: no place for {name}: add <!-- quality:{name} --> and <!-- /quality:{name} -->")
    if options.plot:
        for section in sections:
            if section.name == splits.NAME:
                plot.draw(section.data, options.plot)


if __name__ == "__main__":
    sys.exit(main())
