"""ulab-uiuc/LLMRouter: its routing data, in any of the layouts that its data folders have.

    *.jsonl, *.csv   one row per query and model: task_name, query, model_name, performance, input_tokens,
                     output_tokens (or token_num), response_time, response
    *.json           a list of {"question" or "query", "scores": {model: score}}
    *.json           a list of {"query", "llm_name_list": [...], "perf_list": [...]}

Two more kinds of files beside them are used where they exist: queries with their `task_name`, and candidates with
`input_price` and `output_price` (US dollars per million tokens), which go before the catalogue's prices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports.common import Collector, Row, short_id, tokens_of, user
from taskrouter.evaluation.imports.files import csv_rows, json_lines, parse_json, read_bytes
from taskrouter.evaluation.imports.prices import Price, Prices
from taskrouter.evaluation.recordings import RecordedOutcome
from taskrouter.grading.numbers import final_number

_MODEL, _SCORE = ("model_name", "llm", "model"), ("performance", "effect")
_DATA_FOLDERS = ("data", "llmrouter/data")
LARGEST = 1e15
"""Numbers above it are no scores, tokens, seconds or dollars."""
_LETTER = re.compile(r"\b([A-J])\b")


class _Result(NamedTuple):
    query: str
    task: str | None
    model: str
    score: float
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    answer: str | None = None


class _Contents(NamedTuple):
    results: list[_Result]
    tasks: dict[str, str]
    prices: dict[str, Price]


def read_llmrouter(folder: Path, collector: Collector) -> None:
    """Gather the outcomes of all files.

    Args:
        folder: a clone, or a folder with its data.
        collector: takes them in.

    Raises:
        ConfigurationError: the folder holds no routing data in any of the layouts above.
    """
    roots = [root for place in _DATA_FOLDERS if (root := folder / place).is_dir()] or [folder]
    contents = _Contents([], {}, {})
    unread: list[str] = []
    for path in sorted(path for root in roots for path in root.rglob("*") if path.suffix in _READ):
        collector.tell(path.name)
        try:
            _READ[path.suffix](path, contents)
        except ConfigurationError as error:  # a data folder may hold anything
            unread.append(str(error))
            collector.skip(f"files that cannot be read: {error}")
    if not contents.results:
        raise ConfigurationError(
            f"{folder}: no routing data of LLMRouter: looked, in {' and '.join(_DATA_FOLDERS)}, else in all of it, for "
            "rows with 'query', 'model_name' and 'performance' (.jsonl, .csv), and for lists with 'scores' or "
            f"'perf_list' (.json){''.join(f'; {reason}' for reason in unread[:3])}"
        )
    if contents.prices:
        collector.prices = Prices(listed=contents.prices)
    for result in contents.results:
        _add(result, contents.tasks, collector)


def _add(result: _Result, tasks: Mapping[str, str], collector: Collector) -> None:
    if not collector.takes(result.model, measured=result.cost_usd is not None):
        return
    task = result.task or tasks.get(result.query)
    asked, given = result.input_tokens, result.output_tokens
    if asked is None:
        asked = tokens_of(result.query)
        collector.note("input tokens that nobody counted are estimated from the length of the query")
    if given is None:
        given = 0
        collector.note("outcomes without the length of their answer are charged for their input only")
    collector.add(
        Row(id=f"llmrouter/{short_id(task or '', result.query)}", task=task, messages=user(result.query)),
        result.model,
        RecordedOutcome(
            score=result.score,
            cost_usd=collector.cost_usd(result.model, asked, given) if result.cost_usd is None else result.cost_usd,
            input_tokens=asked,
            output_tokens=given,
            latency_s=result.latency_s,
            answer=result.answer,
        ),
    )


def _read_lines(path: Path, contents: _Contents) -> None:
    _take_rows((line for _, line in json_lines(path)), contents)


def _read_csv(path: Path, contents: _Contents) -> None:
    _take_rows(csv_rows(path), contents)


def _read_json(path: Path, contents: _Contents) -> None:
    document = parse_json(read_bytes(path), str(path))
    if isinstance(document, dict):
        contents.prices.update(_candidates(document))
    elif isinstance(document, list):
        rows = [item for item in document if isinstance(item, dict)]
        for row in rows:
            contents.results.extend(_scores(row))
        _take_rows(rows, contents)


_READ = {".jsonl": _read_lines, ".csv": _read_csv, ".json": _read_json}


def _take_rows(rows: Iterable[Mapping[str, Any]], contents: _Contents) -> None:
    for row in rows:
        query, task = row.get("query"), row.get("task_name")
        if not isinstance(query, str) or not query:
            continue
        model = next((row[name] for name in _MODEL if isinstance(row.get(name), str) and row[name]), None)
        score = next((value for name in _SCORE if (value := _float(row.get(name))) is not None), None)
        if model is None or score is None:
            if isinstance(task, str) and task:
                contents.tasks[query] = task
            continue
        contents.results.append(_result(row, query, model, score))


def _result(row: Mapping[str, Any], query: str, model: str, score: float) -> _Result:
    asked, given, both = (_count(row.get(name)) for name in ("input_tokens", "output_tokens", "token_num"))
    response = row.get("response")
    if given is None and isinstance(response, str) and response:
        given = tokens_of(response)
    if asked is None and both is not None:
        asked = max(0, both - (given or 0))
    task = row.get("task_name")
    return _Result(
        query=query,
        task=task if isinstance(task, str) and task else None,
        model=model,
        score=score,
        input_tokens=asked,
        output_tokens=given,
        cost_usd=_float(row.get("cost_usd")),
        latency_s=_float(row.get("response_time")),
        answer=_answer(response, str(row.get("metric") or "")),
    )


def _answer(response: Any, metric: str) -> str | None:
    """Return the canonical answer where the metric says what kind it is: a letter, or a number."""
    if not isinstance(response, str):
        return None
    if metric.lower() == "em_mc":
        letters = _LETTER.findall(response)
        return letters[-1] if letters else None
    if metric.lower() in ("gsm8k", "math"):
        number = final_number(response)
        return None if number is None else f"{number:.12g}"
    return None


def _scores(item: Mapping[str, Any]) -> Iterator[_Result]:
    query = item.get("question", item.get("query"))
    scores = item.get("scores")
    if scores is None and isinstance(item.get("llm_name_list"), list) and isinstance(item.get("perf_list"), list):
        scores = dict(zip(map(str, item["llm_name_list"]), item["perf_list"], strict=False))
    if not isinstance(query, str) or not isinstance(scores, dict):
        return
    task = item.get("task_name")
    for model, given in scores.items():
        score = _float(given)
        if score is not None:
            yield _Result(query, task if isinstance(task, str) else None, str(model), score)


def _candidates(document: Mapping[str, Any]) -> Iterator[tuple[str, Price]]:
    for model, facts in document.items():
        if isinstance(facts, dict):
            asked, given = _float(facts.get("input_price")), _float(facts.get("output_price"))
            if asked is not None and given is not None:
                source = "the repository's own list of candidates"
                yield model, Price(input_usd_per_million=asked, output_usd_per_million=given, source=source)


def _float(value: Any) -> float | None:
    """Return a number that is not negative, also from the text of a CSV cell; else None."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST
    return float(value) if good else None


def _count(value: Any) -> int | None:
    number = _float(value)
    return None if number is None else round(number)
