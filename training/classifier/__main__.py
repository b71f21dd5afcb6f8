"""Rebuild the weights of the embedded classifier."""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from training.classifier.build import build
from training.classifier.rows import training_rows

ROOT = Path(__file__).parents[2]
PROFILING = ROOT / "packages/core/src/taskrouter/profiling"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write the weights and their SHA-256, and print it."""
    parser = argparse.ArgumentParser(prog="python -m training.classifier", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/tasks")
    parser.add_argument("--prompts", type=Path, default=ROOT / "training/prompts")
    parser.add_argument("--output", type=Path, default=PROFILING / "data/classifier.bin")
    options = parser.parse_args(arguments)
    content = build(training_rows(options.data, options.prompts))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    if options.output == parser.get_default("output"):
        _note(PROFILING / "weights.py", digest)
    print(f"{len(content):,} bytes, SHA-256 {digest}")
    return 0


def _note(module: Path, digest: str) -> None:
    source = module.read_text(encoding="utf-8")
    module.write_text(re.sub(r'(?m)^SHA256: Final = ".*"$', f'SHA256: Final = "{digest}"', source), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
