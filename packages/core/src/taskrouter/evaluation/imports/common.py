"""What all imports share: gathering outcomes by prompt, saying what was left out, and writing recordings."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports.prices import Prices
from taskrouter.evaluation.recordings import RecordedOutcome

CHARS_PER_TOKEN = 4
"""For texts whose tokens nobody counted."""
LONG_ANSWER_CHARS = 200
MIN_COVERAGE = 0.9
"""Share of the prompts that a model must have been asked to be kept, where the user named no models."""

Tell: TypeAlias = Callable[[str], None]
"""Is told what is being read."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Row:
    """One prompt and what each model made of it: one line of a recording."""

    id: str
    task: str | None
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    outcomes: dict[str, RecordedOutcome] = field(default_factory=dict)

    def to_dict(self, models: Sequence[str]) -> dict[str, Any]:
        """Return the line, with the outcomes of these models only."""
        line: dict[str, Any] = {"id": self.id, "task": self.task, "messages": self.messages}
        if self.tools:
            line["tools"] = self.tools
        line["outcomes"] = {
            model: {key: value for key, value in asdict(self.outcomes[model]).items() if value is not None}
            for model in models
        }
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import found, and what it left out."""

    rows: tuple[Row, ...]
    models: tuple[str, ...]
    """Models with an outcome for every row, in alphabetical order."""
    prices: Mapping[str, str]
    """Model -> where its price stands; a model whose costs were measured has none."""
    skipped: Mapping[str, int]
    """Reason -> how many prompts, answers or files were left out for it."""
    skipped_models: Mapping[str, str]
    """Model -> why it was left out."""
    notes: tuple[str, ...]
    """What was estimated, and how."""

    def write(self, path: Path) -> None:
        """Write a recording, gzipped if the name ends in `.gz`. The same input gives the same bytes.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        text = io.StringIO()
        for row in self.rows:
            text.write(json.dumps(row.to_dict(self.models), ensure_ascii=False, separators=(",", ":")) + "\n")
        data = text.getvalue().encode(errors="replace")  # a model may have written half a character
        try:
            path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be written: {error.strerror or error}") from error


class Collector:
    """Gathers outcomes while an import reads.

    Args:
        models: patterns of the models to take (`gpt-4o*`); none: all.
        prices: where list prices are found.
        tell: is told what is being read.
    """

    def __init__(self, *, models: Sequence[str] = (), prices: Prices | None = None, tell: Tell | None = None) -> None:
        self.prices = prices or Prices()
        self.tell = tell or (lambda _: None)
        self._patterns = tuple(models)
        self._rows: dict[str, Row] = {}
        self._seen: dict[str, bool] = {}
        self._skipped: Counter[str] = Counter()
        self._skipped_models: dict[str, str] = {}
        self._price_sources: dict[str, str] = {}
        self._notes: dict[str, None] = {}

    def takes(self, model: str, *, measured: bool = False) -> bool:
        """Whether outcomes of a model are wanted and can be charged.

        Args:
            model: its name in the files.
            measured: whether the files say what its calls cost, so that no price is needed.
        """
        if model not in self._seen:
            self._seen[model] = self._wanted(model)
        return self._seen[model] and (measured or self._priced(model))

    def cost_usd(self, model: str, input_tokens: int, output_tokens: int) -> float:
        """Return the list price of a call to a model that `takes` has accepted.

        Raises:
            ConfigurationError: no price of the model is known.
        """
        price = self.prices.find(model)
        if price is None:
            raise ConfigurationError(f"no price of {model!r} is known")
        return price.cost_usd(input_tokens, output_tokens)

    def add(self, prompt: Row, model: str, outcome: RecordedOutcome) -> None:
        """Take in what a model that `takes` has accepted made of a prompt. Of two outcomes the first one stays."""
        row = self._rows.setdefault(prompt.id, prompt)
        if model in row.outcomes:
            self.skip("second outcomes of a model for the same prompt")
        elif not 0.0 <= outcome.score <= 1.0:
            self.skip("outcomes with a score outside 0 to 1")
        else:
            answer = None if outcome.answer is None else canonical(outcome.answer)
            row.outcomes[model] = replace(outcome, answer=answer)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count what is left out."""
        self._skipped[reason] += count

    def note(self, text: str) -> None:
        """Say how something was estimated; saying it twice is saying it once."""
        self._notes[text] = None

    def finish(self, folder: Path) -> Imported:
        """Keep the models that were asked nearly everything, and the prompts that all of these were asked.

        Raises:
            ConfigurationError: nothing is left, or a wanted model was not found; the message says why.
        """
        for pattern in self._patterns:
            if not any(fnmatchcase(model, pattern) for model in self._seen):
                found = ", ".join(sorted(self._seen)[:8]) or "none"
                raise ConfigurationError(f"{folder}: no model matches {pattern!r}; models found: {found}")
        models = self._covering()
        rows = tuple(row for row in self._rows.values() if models and all(m in row.outcomes for m in models))
        if len(rows) < len(self._rows):
            self.skip("prompts without an outcome of every model", len(self._rows) - len(rows))
        if not rows:
            raise ConfigurationError(f"{folder}: no prompt with outcomes was found: {self._reasons()}")
        return Imported(
            rows=rows,
            models=models,
            prices={model: source for model, source in self._price_sources.items() if model in models},
            skipped=dict(self._skipped),
            skipped_models=dict(sorted(self._skipped_models.items())),
            notes=tuple(self._notes),
        )

    def _wanted(self, model: str) -> bool:
        return not self._patterns or any(fnmatchcase(model, pattern) for pattern in self._patterns)

    def _priced(self, model: str) -> bool:
        price = self.prices.find(model)
        if price is None:
            self._skipped_models[model] = "no price of it is known"
            return False
        self._price_sources[model] = price.source
        return True

    def _covering(self) -> tuple[str, ...]:
        asked = Counter(model for row in self._rows.values() for model in row.outcomes)
        if self._patterns:
            return tuple(sorted(asked))
        kept = {model for model, count in asked.items() if count >= MIN_COVERAGE * len(self._rows)}
        for model in asked.keys() - kept:
            self._skipped_models[model] = f"asked only {asked[model]:,} of {len(self._rows):,} prompts"
        return tuple(sorted(kept))

    def _reasons(self) -> str:
        reasons = [f"{count:,} {reason}" for reason, count in self._skipped.most_common(6)]
        reasons += [f"{model}: {reason}" for model, reason in sorted(self._skipped_models.items())[:6]]
        return "; ".join(reasons) or "none of its files held any"


def canonical(answer: str) -> str:
    """Return an answer as a recording holds it: a hash in place of a long one, which is only ever compared."""
    if len(answer) <= LONG_ANSWER_CHARS:
        return answer
    return f"sha256:{hashlib.sha256(answer.encode(errors='replace')).hexdigest()[:32]}"


def tokens_of(text: str) -> int:
    """Estimate how many tokens a text has; any text has one."""
    return max(1, round(len(text) / CHARS_PER_TOKEN))


def short_id(*parts: str) -> str:
    """Make an id for a prompt that has none; the same parts give the same id."""
    return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()[:16]


def user(text: str) -> list[dict[str, str]]:
    """Return the messages of a step that is one question."""
    return [{"role": "user", "content": text}]
