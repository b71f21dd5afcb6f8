"""Lays out small folders as the owners of public results do. All questions and answers are invented."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHEAP, DEAR = "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"
"""Models whose list prices the catalogue has."""


def lay_out(root: Path, files: Mapping[str, Any]) -> Path:
    """Write files: text and bytes as they are, a list under `.jsonl!` as JSON lines, everything else as JSON."""
    for name, content in files.items():
        path = root / name.removesuffix("!")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif name.endswith("!"):
            path.write_text("".join(json.dumps(line) + "\n" for line in content), encoding="utf-8")
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
    return root


def written(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a gzipped recording."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
