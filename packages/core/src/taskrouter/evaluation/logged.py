"""Logged decisions with what was said of them: from a store's two logs, or from a file of JSON lines.

A line of a file is a record of the ledger (docs/replay.md), which may have its labels with it
(`"labels": [{"score": 1, "source": "user"}]`), or a record of feedback (`{"decision_id": ..., "score": ...}`). What
cannot be used is skipped and counted by reason; only a line that is no JSON is an error.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import Field, ValidationError

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.recordings import lines
from taskrouter.keeping import FEEDBACK, PAGE
from taskrouter.learning.evidence import WEIGHTS
from taskrouter.ledger import DECISIONS, VERSION, Record
from taskrouter.state.opening import existing, open_store
from taskrouter.state.redis_address import SCHEMES
from taskrouter.state.store import StateStore

APART: Final = 0.5
"""Labels of one decision that differ by more contradict each other."""

IN_WORDS: Final[Mapping[str, str]] = {
    "other_version": f"records of another schema version than {VERSION}",
    "unreadable": "records that are damaged or lack a field",
    "no_propensity": "records without a propensity",
    "repeated": "records of a decision that is there already",
    "label_out_of_range": "labels whose score is no number from 0 to 1",
    "label_unreadable": "labels that are damaged",
    "not_answered": "steps that no model answered, or that were only made to compare plans",
    "label_of_unknown_decision": "labels of decisions that are not in the ledger",
    "label_without_weight": "labels that count nothing",
}
"""Why something was skipped."""


class Logged(NamedTuple):
    """A decision and what was said of it."""

    text: str | bytes
    """Its record as it is kept: a tenth of what it takes when it is read, and a ledger has very many."""
    score: float | None
    """Weighted mean of its labels; None where there is none."""

    @property
    def record(self) -> Record:
        """Its record."""
        return _Line.model_validate_json(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What a ledger holds."""

    decisions: tuple[Logged, ...]
    labels: int
    """Labels that count."""
    contradictory: int
    """Decisions whose labels contradict each other; their mean counts."""
    skipped: Mapping[str, int]
    """What could not be used, by reason."""


class _Label(NamedTuple):
    score: float
    weight: float


def read_log(source: str, *, namespace: str = "default") -> Log:
    """Read decisions and labels.

    Args:
        source: the address of a store as in `[state] url`, or a `.jsonl` file, gzipped or not.
        namespace: of the store.

    Raises:
        ConfigurationError: there is no such file or store, a line is no JSON, or no decision can be used.
        StoreUnavailable: the store cannot be reached.
    """
    gathering = _Gathering()
    if _is_store(source):
        store = open_store(existing(source), namespace=namespace, read_only=True)
        try:
            gathering.records(text for text in _texts(store, DECISIONS))
            gathering.labels(text for text in _texts(store, FEEDBACK))
        finally:
            store.close()
    else:
        gathering.lines(source)
    return gathering.done(source)


class _Line(Record):
    """A record that can be replayed, in a file with its labels."""

    propensity: float = Field(gt=0, le=1)
    labels: Any = []


class _Gathering:
    def __init__(self) -> None:
        self._records: dict[str, str | bytes] = {}
        self._labels: dict[str, list[_Label]] = {}
        self._said: set[str] = set()
        self._skipped: Counter[str] = Counter()

    def records(self, texts: Iterable[str]) -> None:
        for text in texts:
            if not self._record(text):
                self._skipped[_why_not(_parsed(text))] += 1

    def labels(self, texts: Iterable[str]) -> None:
        for text in texts:
            document = _parsed(text)
            if text in self._said:
                continue  # written twice, by a call whose answer was lost and after the outage
            self._said.add(text)
            if document is None:
                self._skipped["label_unreadable"] += 1
            else:
                self._label(document.get("decision_id"), document)

    def lines(self, path: str) -> None:
        for number, line in lines(Path(path)):
            if self._record(line):
                continue
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                raise ConfigurationError(f"{path}:{number}: not a JSON document") from None
            if isinstance(document, dict) and "decision_id" in document:
                self._label(document["decision_id"], document)
            else:
                self._skipped[_why_not(document)] += 1

    def done(self, source: str) -> Log:
        unknown = [labels for decision_id, labels in self._labels.items() if decision_id not in self._records]
        self._skipped["label_of_unknown_decision"] += sum(map(len, unknown))
        known = {key: labels for key, labels in self._labels.items() if key in self._records}
        if not self._records:
            why = [f"{count:,} {IN_WORDS[reason]}" for reason, count in self._skipped.items() if count]
            raise ConfigurationError(
                f"{_shown(source)}: holds no decision that can be replayed"
                + (f"; skipped: {', '.join(why)}" if why else ": is `[state] decisions` above 0 where it was made?")
            )
        return Log(
            decisions=tuple(
                Logged(text, _mean(known[key]) if key in known else None) for key, text in self._records.items()
            ),
            labels=sum(map(len, known.values())),
            contradictory=sum(_contradict(labels) for labels in known.values()),
            skipped={reason: self._skipped[reason] for reason in IN_WORDS if self._skipped[reason]},
        )

    def _record(self, text: str | bytes) -> bool:
        """Take a record in; return whether it is one."""
        try:
            line = _Line.model_validate_json(text)
        except ValidationError:
            return False
        if not line.answered:
            self._skipped["not_answered"] += 1
            return True
        self._skipped["repeated"] += line.id in self._records
        self._records[line.id] = text
        for label in line.labels if isinstance(line.labels, list) else [line.labels]:
            self._label(line.id, label)
        return True

    def _label(self, decision_id: object, label: object) -> None:
        if not isinstance(decision_id, str) or not isinstance(label, Mapping):
            self._skipped["label_unreadable"] += 1
            return
        score, source, share = label.get("score"), label.get("source", "user"), label.get("share", 1.0)
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0.0 <= score <= 1.0:
            self._skipped["label_out_of_range"] += 1
        elif not isinstance(source, str) or not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
            self._skipped["label_unreadable"] += 1
        elif (weight := share * WEIGHTS.get(source, 1.0)) <= 0.0:
            self._skipped["label_without_weight"] += 1
        else:
            self._labels.setdefault(decision_id, []).append(_Label(float(score), weight))


def _mean(labels: Iterable[_Label]) -> float:
    known = list(labels)
    return sum(label.score * label.weight for label in known) / sum(label.weight for label in known)


def _contradict(labels: Iterable[_Label]) -> bool:
    scores = [label.score for label in labels]
    return max(scores) - min(scores) > APART


def _why_not(document: object) -> str:
    """Return why something is no record that can be replayed."""
    if not isinstance(document, dict):
        return "unreadable"
    if document.get("v") != VERSION:
        return "other_version"
    return "no_propensity" if document.get("propensity") is None else "unreadable"


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _texts(store: StateStore, log: str) -> Iterator[str]:
    after: str | None = None
    while records := store.read(log, after=after, limit=PAGE):
        for record in records:
            yield record.text
        after = records[-1].position


def _is_store(source: str) -> bool:
    return source.partition(":")[0] in {"sqlite", "memory", "env", *SCHEMES} and ":" in source


def _shown(source: str) -> str:
    """The source without what may hold a password."""
    return "the store" if _is_store(source) and not source.startswith(("sqlite:", "env:")) else source
