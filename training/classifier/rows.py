"""The labelled prompts that the classifier is trained on, and how much each counts."""

from __future__ import annotations

import gzip
import json
import random
import tomllib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from taskrouter.profile import TASK_TYPES
from taskrouter.profiling.lexicon import NAMES
from taskrouter.step import Step, StepContext

OPENINGS: Final = Path(__file__).with_name("openings.toml")
SEED: Final = 7
PER_SOURCE: Final = 60
"""Prompts that one public source gives for one label: more of the same template teaches only the template."""
PER_TEMPLATE: Final = 150
"""The same for the templated prompts, which are one source."""
WEIGHT: Final = {"public": 0.3, "templates": 0.6, "own": 10.0, "words": 3.0}
"""What a row counts, by kind: our own prompts look like the steps of agents, the public ones like benchmarks."""
SNIPPETS: Final = (
    "```python\ndef total(items):\n    result = 0\n    for item in items:\n        result += item.price\n```",
    "const rows = await load(url);\nfor (const row of rows) {\n  console.log(row.id);\n}",
    "```sql\nSELECT id, name FROM users WHERE active = 1;\n```",
    "#include <stdio.h>\nint main(void) {\n    int n = 0;\n    return n;\n}",
    "public class Main {\n    public static void main(String[] args) {\n        run();\n    }\n}",
    "import os\nclass Store:\n    def __init__(self, path):\n        self.path = path",
)
"""Code that follows the openings about code: that code is shown does not say whether it is to be mended."""
SYSTEM_ALONE: Final = 0.5
"""What a row counts whose user text is left out, as a share: the system prompt must be able to speak alone."""
ASKED_BY_THE_USER: Final = frozenset({"ShishirPatil/gorilla", "clinc/oos-eval"})
"""Sources whose system prompts do not say the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A labelled prompt."""

    label: str
    source: str
    """Where it comes from; of our own prompts: file and voice."""
    group: str
    """What is left out together when the training is checked: a repository, or one of our files."""
    weight: float
    system: str = ""
    user: str = ""
    node: str | None = None
    domain: str | None = None
    demand: str | None = None
    language: str | None = None

    @property
    def own(self) -> bool:
        """Whether it is one of our own prompts."""
        return self.group.startswith("own:")

    def step(self) -> Step:
        """Return it as the router would see it."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        if self.user or not messages:
            messages.append({"role": "user", "content": self.user})
        return Step(messages=messages, context=StepContext(node=self.node))


def training_rows(data: Path, prompts: Path) -> list[Row]:
    """Return all that the classifier is trained on, in a fixed order."""
    public = [_public(line, "public") for line in _lines(data / "train.jsonl.gz")]
    templated = [_public(line, "templates") for line in _lines(data / "train_templated.jsonl.gz")]
    rows = [*_capped(public, PER_SOURCE), *_capped(templated, PER_TEMPLATE), *own_rows(prompts)]
    return [*rows, *_system_alone(rows), *_names(), *_openings()]


def own_rows(prompts: Path) -> list[Row]:
    """Return our own prompts."""
    return [_own(line, file.stem) for file in sorted(prompts.glob("*.jsonl")) for line in _lines(file)]


def dev_rows(data: Path, name: str) -> list[Row]:
    """Return prompts that nothing is trained on."""
    return [
        Row(
            label=line["label"] or "",
            source=line["source"],
            group=name,
            weight=0.0,
            system=line["system"],
            user=line["user"],
            demand=line.get("tier"),
            language=line.get("lang"),
        )
        for line in _lines(data / f"{name}.jsonl.gz")
    ]


def _public(line: dict[str, Any], kind: str) -> Row:
    group = kind if kind == "templates" else line["source"].split(":")[0]
    return Row(
        label=line["label"],
        source=line["source"],
        group=group,
        weight=WEIGHT[kind],
        system=line["system"],
        user=line["user"],
    )


def _own(line: dict[str, Any], file: str) -> Row:
    if line["label"] not in TASK_TYPES:
        raise ValueError(f"{file}.jsonl: unknown label {line['label']!r}")
    return Row(
        label=line["label"],
        source=f"own:{file}:{line.get('voice', '')}",
        group=f"own:{file}",
        weight=WEIGHT["own"],
        system=line["system"],
        user=line["user"],
        domain=line.get("domain"),
        demand=line.get("demand"),
        language=line.get("language"),
    )


def _system_alone(rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        if row.system and row.user and row.group not in ASKED_BY_THE_USER:
            yield replace(row, user="", weight=row.weight * SYSTEM_ALONE)


def _names() -> Iterator[Row]:
    """Yield the names of agents and nodes that the lexicon of the rules knows."""
    for label, by_weight in NAMES.items():
        for weight, phrases in by_weight.items():
            for phrase in phrases.split(","):
                share = WEIGHT["words"] * weight / 6
                yield Row(label=label, source="lexicon", group="lexicon", weight=share, node=phrase.strip())


def _openings() -> Iterator[Row]:
    """Yield how requests begin."""
    openings = tomllib.loads(OPENINGS.read_text(encoding="utf-8"))
    for label, phrases in openings.items():
        for number, phrase in enumerate(phrases.strip().splitlines()):
            row = Row(label=label, source=f"openings:{phrase}", group="openings", weight=WEIGHT["words"], user=phrase)
            yield row
            if label.startswith("code_"):
                yield replace(row, user=f"{phrase}\n\n{SNIPPETS[number % len(SNIPPETS)]}")


def _capped(rows: Iterable[Row], most: int) -> list[Row]:
    """Return at most so many rows of each source and label, drawn by chance."""
    return [row for group in _grouped(rows, lambda r: (r.source, r.label)) for row in _draw(group, most)]


def _draw(group: list[Row], most: int) -> list[Row]:
    return random.Random(SEED).sample(group, most) if len(group) > most else group


def _grouped(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> list[list[Row]]:
    groups: dict[Hashable, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return [groups[k] for k in sorted(groups, key=repr)]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from (json.loads(line) for line in content.decode("utf-8").split("\n") if line.strip())
