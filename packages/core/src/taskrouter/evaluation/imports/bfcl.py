"""The Berkeley Function-Calling Leaderboard: results and scores from HuanzhiMao/BFCL-Result.

    DATE/result/MODEL[/GROUP]/BFCL_v3_simple_result.json    one JSON object per line: id, result, token counts, latency
    DATE/score/MODEL[/GROUP]/BFCL_v3_simple_score.json      a line with the totals, then one line per failure
    2024-07-06/result-BFCL/MODEL/gorilla_openfunctions_v1_test_simple_result.json
    2024-07-06/score-BFCL/MODEL/simple_score.json

The questions stand in ShishirPatil/gorilla, `berkeley-function-call-leaderboard/data` (later `bfcl_eval/data`), under
the same name without `_result`, at the commit of the same version. Scores are read, never computed: a file of results
without its file of scores is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports.calls import calls_are_valid, canonical_calls, read_calls, tool
from taskrouter.evaluation.imports.common import Collector, Row, tokens_of
from taskrouter.evaluation.imports.files import json_lines
from taskrouter.evaluation.recordings import RecordedOutcome
from taskrouter.step import ROLES

_RESULT = re.compile(r"(?P<stem>(?:BFCL_v\d+_|gorilla_openfunctions_v1_test_)(?P<category>.+))_result\.jsonl?")
_SCORE = re.compile(r"(?:BFCL_v\d+_|gorilla_openfunctions_v1_test_)?(?P<category>.+)_score\.jsonl?")
_MANY_STEPS = ("multi_turn", "memory", "web_search", "format_sensitivity")
"""Categories in which one question takes several model calls."""
_OTHER_LANGUAGES = ("java", "javascript", "simple_java", "simple_javascript")
"""Categories whose arguments have types of another language, so that no JSON Schema can judge them."""
_VERSION_1 = "gorilla_openfunctions"
LARGEST = 1e12
"""Numbers above it are no tokens or seconds."""
_FAILED_CALL = "Error during inference"
_QUESTION_FOLDERS = (
    "", "data", "bfcl_eval/data", "berkeley-function-call-leaderboard/data",
    "berkeley-function-call-leaderboard/bfcl_eval/data",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Snapshot:
    results: Path
    scores: Path


def read_bfcl(folder: Path, collector: Collector, *, questions: Path | None = None) -> None:
    """Gather the outcomes of one snapshot.

    Args:
        folder: the folder of one date, with its folders of results and scores.
        collector: takes them in.
        questions: a clone of ShishirPatil/gorilla, or the folder in it that holds the questions.

    Raises:
        ConfigurationError: the folders are not laid out as above, or a file is damaged.
    """
    snapshot = _snapshot(folder)
    bank = _Questions(_question_folder(questions), collector)
    for path in sorted(snapshot.results.rglob("*_result.json*")):
        named = _RESULT.fullmatch(path.name)
        model = path.relative_to(snapshot.results).parts[0]
        if named is None or not collector.takes(model):
            continue
        category = named["category"]
        if category.startswith(_MANY_STEPS):
            collector.skip(f"files of {category}: a question takes several calls")
            continue
        collector.tell(f"{model}: {category}")
        failing = _failing(snapshot.scores / model, category, collector)
        if failing is not None:
            _gather(path, bank.of(named["stem"], category), model, category, failing, collector)


def _gather(
    path: Path, asked: dict[str, Row], model: str, category: str, failing: frozenset[str], collector: Collector
) -> None:
    for number, line in json_lines(path):
        key = _key(line, category, number)
        row = asked.get(key)
        if row is None:
            collector.skip(f"answers in {category} whose question is not known")
        elif "result" not in line:
            collector.skip(f"lines without 'result' in {category}")
        elif _FAILED_CALL in str(line["result"])[:200]:
            collector.skip("answers that never came: the call itself failed")
        else:
            _add(row, model, category, line, collector, score=float(key not in failing))


def _add(row: Row, model: str, category: str, line: dict[str, Any], collector: Collector, *, score: float) -> None:
    calls = read_calls(line["result"])
    valid: bool | None = None
    if category not in _OTHER_LANGUAGES and calls != []:
        valid = calls is not None and calls_are_valid(calls, row.tools)
    readable = calls is not None and all(arguments is not None for _, arguments in calls)
    asked, given = _positive(line.get("input_token_count")), _positive(line.get("output_token_count"))
    if asked is None or given is None:
        collector.note("tokens that nobody counted are estimated from the length of the text")
        asked, given = tokens_of(str(row.messages) + str(row.tools)), tokens_of(str(line["result"]))
    collector.add(
        row,
        model,
        RecordedOutcome(
            score=score,
            cost_usd=collector.cost_usd(model, round(asked), round(given)),
            input_tokens=round(asked),
            output_tokens=round(given),
            latency_s=_positive(line.get("latency")),
            answer=canonical_calls(calls) if calls is not None and readable else None,
            valid=valid,
        ),
    )


def _positive(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LARGEST
    return float(value) if good else None


def _snapshot(folder: Path) -> _Snapshot:
    for results, scores in (("result", "score"), ("result-BFCL", "score-BFCL")):
        if (folder / results).is_dir() and (folder / scores).is_dir():
            return _Snapshot(folder / results, folder / scores)
    dates = sorted(child.name for child in folder.glob("*/") if any(child.glob("result*/")))
    if dates:
        raise ConfigurationError(f"{folder}: holds several snapshots; name the folder of one: {', '.join(dates)}")
    raise ConfigurationError(
        f"{folder}: no snapshot of BFCL-Result: looked for the folders 'result' and 'score', or 'result-BFCL' and "
        "'score-BFCL', in it"
    )


def _question_folder(given: Path | None) -> Path:
    if given is None:
        raise ConfigurationError(
            "the questions of BFCL stand in another repository: clone ShishirPatil/gorilla at a commit of the same "
            "version, and name it with --questions"
        )
    for place in _QUESTION_FOLDERS:
        if any((given / place).glob("BFCL_v*.json*")) or any((given / place).glob("gorilla_openfunctions_v1_test_*")):
            return given / place
    raise ConfigurationError(
        f"{given}: holds no questions of BFCL: looked for BFCL_v*.json and gorilla_openfunctions_v1_test_*.json in "
        f"{', '.join(place or 'it' for place in _QUESTION_FOLDERS)}"
    )


def _failing(scores: Path, category: str, collector: Collector) -> frozenset[str] | None:
    """Return the keys of the questions that a model failed in, or None where no complete list exists."""
    named = ((path, _SCORE.fullmatch(path.name)) for path in sorted(scores.rglob("*_score.json*")))
    path = next((path for path, match in named if match and match["category"] == category), None)
    if path is None:
        collector.skip("files of results without a file of scores")
        return None
    lines = [line for _, line in json_lines(path)]
    total, right = (lines[0].get(name) if lines else None for name in ("total_count", "correct_count"))
    if not isinstance(total, int) or not isinstance(right, int):
        collector.skip("files of scores without their totals")
        return None
    failures = [line for line in lines[1:] if line.get("valid") is not True]
    if len(failures) != total - right:
        collector.skip("files of scores whose failures do not add up to their totals")
        return None
    return frozenset(_failure_key(line, category) for line in failures)


def _failure_key(line: dict[str, Any], category: str) -> str:
    """Return the key of a failed question. Until version 3 failures are numbered from 1, results from 0."""
    prompt = line.get("prompt")
    if isinstance(prompt, dict) and isinstance(prompt.get("id"), str):
        return str(prompt["id"])
    number = line.get("id")
    return f"{category}_{number - 1}" if isinstance(number, int) else str(number)


def _key(line: dict[str, Any], category: str, number: int) -> str:
    for name in ("id", "idx", "index"):
        if name in line:
            return f"{category}_{line[name]}" if isinstance(line[name], int) else str(line[name])
    return f"{category}_{number}"


class _Questions:
    """Reads a file of questions when its first results turn up."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self._folder = folder
        self._collector = collector
        self._read: dict[str, dict[str, Row]] = {}

    def of(self, stem: str, category: str) -> dict[str, Row]:
        """Return the questions of a category by key."""
        if stem not in self._read:
            self._read[stem] = dict(self._load(stem, category))
        return self._read[stem]

    def _load(self, stem: str, category: str) -> Iterator[tuple[str, Row]]:
        path = next((p for end in (".json", ".jsonl") if (p := self._folder / f"{stem}{end}").is_file()), None)
        if path is None:
            self._collector.skip(f"files of questions that are missing: {stem}.json in {self._folder}")
            return
        for number, line in json_lines(path):
            row = self._row(line, category, key := _key(line, category, number))
            if row is not None:
                yield key, row
                if stem.startswith(_VERSION_1):  # its results have numbers, whatever its questions have
                    yield f"{category}_{number}", row

    def _row(self, line: dict[str, Any], category: str, key: str) -> Row | None:
        messages = _messages(line.get("question"))
        functions = line.get("function")
        offered = [functions] if isinstance(functions, dict) else functions
        if messages is None or not isinstance(offered, list) or not offered:
            self._collector.skip(f"questions in {category} with several turns, or without functions")
            return None
        try:
            tools = [tool(function) for function in offered]
        except ValueError:
            self._collector.skip("questions with a schema that cannot be mended")
            return None
        return Row(id=f"bfcl/{key}", task=category, messages=messages, tools=tools)


def _messages(question: Any) -> list[dict[str, str]] | None:
    """Return the messages of a question of one turn: text, one list of messages, or a list of such lists."""
    if isinstance(question, str):
        return [{"role": "user", "content": question}]
    if isinstance(question, list) and len(question) == 1 and isinstance(question[0], list):
        question = question[0]
    if not isinstance(question, list) or not question:
        return None
    if not all(isinstance(m, dict) and isinstance(m.get("content"), str) for m in question):
        return None
    if not all(isinstance(m.get("role"), str) and m["role"] in ROLES for m in question):
        return None
    return [{"role": message["role"], "content": message["content"]} for message in question]
