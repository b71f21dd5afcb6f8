"""A hand-written recording: few enough prompts to work every figure out on paper."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

COSTS_USD = {"big": 0.010, "mid": 0.002, "tiny": 0.001}
LATENCIES_S = {"big": 2.0, "mid": 1.0, "tiny": 0.5}

# id, task, text, score of big, of mid, of tiny
TEST = [
    ("1", "code", "write a parser for dates", 1, 1, 0),
    ("2", "code", "fix the race in this queue", 1, 0, 0),
    ("3", "code", "write a binary search", 1, 1, 0),
    ("4", "code", "reverse a string in place", 0, 0, 1),
    ("5", "chat", "greet the customer", 1, 1, 1),
    ("6", "chat", "thank the customer", 1, 1, 1),
    ("7", "chat", "say goodbye to the customer", 0, 1, 1),
    ("8", "chat", "apologise to the customer", 1, 0.5, 1),
]
TRAIN = [
    ("a", "code", "write a lexer for numbers", 1, 0, 0),
    ("b", "code", "fix the leak in this cache", 1, 1, 0),
    ("c", "code", "write a heap", 1, 0, 0),
    ("d", "chat", "welcome the customer", 1, 1, 1),
    ("e", "chat", "congratulate the customer", 0, 1, 1),
]


def line(id_: Any, task: str | None, text: str, *scores: float, **changes: Any) -> dict[str, Any]:
    """One line of a recording, as a mapping."""
    outcomes = {
        model: {"score": float(score), "cost_usd": COSTS_USD[model], "latency_s": LATENCIES_S[model]}
        for model, score in zip(COSTS_USD, scores, strict=True)
    }
    return {
        "id": id_,
        "task": task,
        "messages": [{"role": "user", "content": text}],
        "outcomes": outcomes,
        **changes,
    }


def write(path: Path, lines: Iterable[Any]) -> Path:
    """Write a recording; gzipped if the name says so."""
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def judged_file(tmp_path):
    return write(tmp_path / "test.jsonl", [line(*row) for row in TEST])


@pytest.fixture
def learned_file(tmp_path):
    return write(tmp_path / "train.jsonl.gz", [line(*row) for row in TRAIN])


@pytest.fixture
def make_line():
    return line


@pytest.fixture
def write_recording(tmp_path):
    return lambda lines, name="recording.jsonl": write(tmp_path / name, lines)
