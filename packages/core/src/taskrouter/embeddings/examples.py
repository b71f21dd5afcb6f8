"""Labelled texts: ours, in `data/examples.toml`, and the user's own."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

from taskrouter.config import read_text
from taskrouter.errors import ConfigurationError
from taskrouter.profile import TASK_TYPES, UNKNOWN

BUILTIN: Final = Path(__file__).with_name("data") / "examples.toml"
LABELS: Final = (*TASK_TYPES, UNKNOWN)
"""What an example may be labelled as; `unknown` marks prompts that leave the task open."""


class Example(NamedTuple):
    """A text and what it is for."""

    text: str
    task_type: str


def builtin_examples() -> list[Example]:
    """Return ours: about fifteen short descriptions of roles for each task type, and for none."""
    tables: dict[str, dict[str, list[str]]] = tomllib.loads(BUILTIN.read_text(encoding="utf-8"))
    return [Example(text, task_type) for task_type, table in tables.items() for text in table["examples"]]


def own_examples(path: Path) -> list[Example]:
    """Read examples from a file of JSON Lines.

    Raises:
        ConfigurationError: the file cannot be read, or a line is no example; the message has its number, not its text.
    """
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            found.append(_example(line, f"{path}:{number}"))
    if not found:
        raise ConfigurationError(f"{path}: there are no examples in it")
    return found


def _example(line: str, where: str) -> Example:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not row["text"].strip():
        raise ConfigurationError(f'{where}: no example; write {{"text": "You sum up calls.", "task_type": "..."}}')
    if row.get("task_type") not in LABELS:
        raise ConfigurationError(f"{where}: task_type must be one of {', '.join(LABELS)}")
    return Example(row["text"], row["task_type"])
