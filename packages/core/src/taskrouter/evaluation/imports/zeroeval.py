"""WildEval/ZeroEval: `result_dirs/TASK/MODEL.json`, each a list of answers with the question and the right answer.

Read are the greedy runs, which lie in the folder of the task itself. Right is the same number and no other beside it
(`gsm`, `math-l5`), the same Python value (`crux`), the right letter (`mmlu-redux`), every cell (`zebra-grid`, whose
solutions are not public: without one a puzzle is left out). The owners' own evaluation differs in small ways: it takes
the first of several numbers, and compares the spelling of Python values.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports.common import Collector, Row, tokens_of, user
from taskrouter.evaluation.imports.files import parse_json, read_bytes
from taskrouter.evaluation.recordings import RecordedOutcome
from taskrouter.grading.numbers import numbers_in

_ANSWER = re.compile(r'"?answer"?\s*:\s*"?([^"\n}]*)', re.IGNORECASE)
_LETTER = re.compile(r"\s*\(?([A-Z])(?![\w'])")
_DECODER = json.JSONDecoder(strict=False)
MAX_ANSWER_CHARS = 200_000


def read_zeroeval(folder: Path, collector: Collector) -> None:
    """Gather the outcomes of all tasks.

    Args:
        folder: a clone, or its folder `result_dirs`.
        collector: takes them in.

    Raises:
        ConfigurationError: the folder is not laid out as above, or a file is damaged.
    """
    root = folder / "result_dirs" if (folder / "result_dirs").is_dir() else folder
    tasks = [task for task in _SCORERS if (root / task).is_dir()]
    if not tasks:
        raise ConfigurationError(
            f"{folder}: no results of ZeroEval: looked for {', '.join(_SCORERS)} in it and in its folder 'result_dirs'"
        )
    for task in tasks:
        other = sum(1 for path in (root / task).glob("*/**/*.json"))
        if other:
            collector.skip(f"files of {task} with other settings, in folders of their own", other)
        for path in sorted((root / task).glob("*.json")):
            if collector.takes(path.stem):
                collector.tell(f"{task}: {path.stem}")
                _gather(path, task, collector)
    collector.note("tokens are estimated from the length of the texts (4 characters each), costs by list price")


def _gather(path: Path, task: str, collector: Collector) -> None:
    items = parse_json(read_bytes(path), str(path))
    if not isinstance(items, list):
        raise ConfigurationError(f"{path}: a {type(items).__name__} where a list of answers belongs")
    for item in items:
        output = _output(item)
        question = None if output is None else _question(item)
        if output is None or question is None:
            collector.skip(f"items of {task} without 'id', 'output' or a question")
            continue
        scored = _SCORERS[task](item, output)
        if scored is None:
            collector.skip(f"items of {task} without a right answer to compare with")
            continue
        right, answer = scored
        collector.add(
            Row(id=f"zeroeval/{task}/{item['id']}", task=task, messages=user(question)),
            path.stem,
            RecordedOutcome(
                score=float(right),
                cost_usd=collector.cost_usd(path.stem, tokens_of(question), tokens_of(output)),
                input_tokens=tokens_of(question),
                output_tokens=tokens_of(output),
                answer=answer,
            ),
        )


def _output(item: Any) -> str | None:
    if not isinstance(item, dict) or "id" not in item:
        return None
    output = item.get("output")
    first = output[0] if isinstance(output, list) and output else output
    return first if isinstance(first, str) else None


def _question(item: Mapping[str, Any]) -> str | None:
    """Return what was sent: the last entry of the history holds the question with its instructions."""
    history = item.get("chat_history")
    sent = history[-1] if isinstance(history, list) and history else None
    found = next((text for text in (sent, item.get("question"), item.get("puzzle")) if isinstance(text, str)), None)
    return found.strip() if found else None


def last_object(text: str, key: str) -> Mapping[str, Any] | None:
    """Return the last JSON object in a text that has a key, or None."""
    found: Mapping[str, Any] | None = None
    at = text.find("{")
    while at != -1:
        try:
            read, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found = read if isinstance(read, dict) and key in read else found
        at = text.find("{", end)
    return found


def _answered(output: str) -> str | None:
    """Return the `answer` of a model's JSON, also where the JSON is broken."""
    text = output[-MAX_ANSWER_CHARS:]
    read = last_object(text, "answer")
    if read is not None:
        answer = read["answer"]
        return answer.strip() if isinstance(answer, str) else json.dumps(answer)
    matches = _ANSWER.findall(text)
    return matches[-1].strip() or None if matches else None


def _number(item: Mapping[str, Any], output: str) -> tuple[bool, str | None] | None:
    truth = _only_number(item.get("answer"))
    if truth is None:
        return None
    given = _only_number(_answered(output))
    return given == truth, None if given is None else f"{given:.12g}"


def _only_number(text: Any) -> float | None:
    """Return the one number of an answer. Of `6sqrt2` or `12-10d` the owners take the first, which says little."""
    numbers = numbers_in(str(text).replace("#", "").replace("$", "")) if text is not None else []
    return numbers[0] if len(numbers) == 1 else None


def _value(item: Mapping[str, Any], output: str) -> tuple[bool, str | None] | None:
    truth = item.get("answer")
    if truth is None:
        return None
    given = _answered(output)
    if given is None:
        return False, None
    spelt = _spelt(given)
    return spelt == _spelt(str(truth)), spelt


def _spelt(text: str) -> str:
    """Write a Python literal in one spelling; what is none is text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return repr(ast.literal_eval(text.strip()))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return repr(text.strip())


def _choice(item: Mapping[str, Any], output: str) -> tuple[bool, str | None] | None:
    choices, right = item.get("choices"), item.get("correct_answer")
    if not isinstance(choices, list) or right not in choices:
        return None
    match = _LETTER.match(_answered(output) or "")
    letter = match[1] if match else None
    return letter == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[choices.index(right)], letter


def _grid(item: Mapping[str, Any], output: str) -> tuple[bool, str | None] | None:
    truth = _truth(item.get("solution"))
    if truth is None:
        return None
    names = truth["house 1"]
    read = last_object(output[-MAX_ANSWER_CHARS:], "solution")
    houses = read["solution"] if read is not None else None
    if not isinstance(houses, dict):
        return False, None
    given = {
        str(house).casefold(): {str(name): _cell(cell) for name, cell in cells.items() if name in names}
        for house, cells in houses.items()
        if isinstance(cells, dict)
    }
    return given == truth, json.dumps(given, sort_keys=True)


def _truth(solution: Any) -> dict[str, dict[str, str]] | None:
    """Return the cells by house and name, or None where the solution is not public: then `___` stands in them."""
    header = solution.get("header") if isinstance(solution, dict) else None
    rows = solution.get("rows") if isinstance(solution, dict) else None
    if not isinstance(header, list) or not isinstance(rows, list) or not rows or "___" in str(rows):
        return None
    if not all(isinstance(row, list) and len(row) == len(header) for row in rows):
        return None
    names = [str(name) for name in header[1:]]
    return {
        f"house {number}": dict(zip(names, map(_cell, row[1:]), strict=True))
        for number, row in enumerate(rows, start=1)
    }


def _cell(cell: Any) -> str:
    first = cell[0] if isinstance(cell, list) and cell else cell
    return str(first).strip().casefold()


_SCORERS: dict[str, Callable[[Mapping[str, Any], str], tuple[bool, str | None] | None]] = {
    "crux": _value,
    "gsm": _number,
    "math-l5": _number,
    "mmlu-redux": _choice,
    "zebra-grid": _grid,
}
"""Task -> what tells whether an answer is right, and its canonical form; None where nothing says what is right."""
