"""lm-sys/RouteLLM: `routellm/evals`, the answers of one strong and one weak model to three benchmarks.

    gsm8k/gsm8k_responses.csv        prompt, MODEL (True or False), MODEL_response
    mmlu/responses/mmlu_SUBJECT.csv  prompt, MODEL (True or False)
    mt_bench/judgements.jsonl        question_id, model, turn, score (1 to 10), user_prompt (holds the answer)
    mt_bench/question.jsonl          question_id, category, turns
    */contaminated_prompts.jsonl     eval_prompt: prompts that a router's training data held

Prompts that the owners call contaminated are left out, as in their own evaluation. Of mt_bench the first turn is read:
the second one answers another conversation for each model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports.common import Collector, Row, short_id, tokens_of, user
from taskrouter.evaluation.imports.files import csv_rows, json_lines
from taskrouter.evaluation.recordings import RecordedOutcome
from taskrouter.grading.numbers import final_number

_RESPONSE = "_response"
_TRUTH = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_ANSWER = re.compile(r"\[The Start of Assistant's Answer\]\n(.*?)\n\[The End of Assistant's Answer\]", re.DOTALL)
_QUESTION = re.compile(r"\[Question\]\n(.*?)\n\n\[The Start of ", re.DOTALL)
_BEST = 10.0


def read_routellm(folder: Path, collector: Collector) -> None:
    """Gather the outcomes of all benchmarks.

    Args:
        folder: a clone, or its folder `routellm/evals`.
        collector: takes them in.

    Raises:
        ConfigurationError: the folder is not laid out as above, or a file is damaged.
    """
    root = folder / "routellm/evals" if (folder / "routellm/evals").is_dir() else folder
    found = [name for name in _BENCHMARKS if (root / name).is_dir()]
    if not found:
        raise ConfigurationError(
            f"{folder}: no results of RouteLLM: looked for {', '.join(_BENCHMARKS)} in it and in 'routellm/evals'"
        )
    for name in found:
        collector.tell(name)
        _BENCHMARKS[name](root / name, collector)
    collector.note("tokens are estimated from the length of the texts (4 characters each), costs by list price")


def _gsm8k(folder: Path, collector: Collector) -> None:
    for path in sorted((*folder.glob("*responses*.csv"), *folder.glob("responses/*.csv"))):
        _table(path, "gsm8k", _contaminated(folder), collector)


def _mmlu(folder: Path, collector: Collector) -> None:
    known = _contaminated(folder)
    for path in sorted(folder.glob("responses/*.csv")):
        _table(path, path.stem.removeprefix("mmlu_"), known, collector)
    collector.note("mmlu has no answers: they are charged as one token, a letter")


def _table(path: Path, task: str, contaminated: frozenset[str], collector: Collector) -> None:
    for cells in csv_rows(path):
        prompt = cells.get("prompt")
        if not prompt:
            raise ConfigurationError(f"{path}: no column 'prompt', or a row without one")
        if prompt in contaminated:
            collector.skip("prompts that the owners call contaminated")
            continue
        row = Row(id=f"routellm/{task}/{short_id(prompt)}", task=task, messages=user(prompt))
        for model, cell in cells.items():
            if model == "prompt" or model.endswith(_RESPONSE):
                continue
            score = _TRUTH.get(cell.strip().lower())
            if score is None:
                collector.skip(f"cells of {task} that are neither True nor False")
            elif collector.takes(model):
                _add(row, model, score, cells.get(f"{model}{_RESPONSE}") or "", collector)


def _add(row: Row, model: str, score: float, response: str, collector: Collector, *, numeric: bool = True) -> None:
    asked, given = tokens_of(row.messages[0]["content"]), tokens_of(response)
    number = final_number(response) if numeric else None
    outcome = RecordedOutcome(
        score=score,
        cost_usd=collector.cost_usd(model, asked, given),
        input_tokens=asked,
        output_tokens=given,
        answer=None if number is None else f"{number:.12g}",
    )
    collector.add(row, model, outcome)


def _mt_bench(folder: Path, collector: Collector) -> None:
    path = folder / "judgements.jsonl"
    if not path.is_file():
        collector.skip("benchmarks without results: mt_bench/judgements.jsonl is missing")
        return
    known = _contaminated(folder)
    asked = {}
    if (folder / "question.jsonl").is_file():
        asked = {str(line.get("question_id")): line for _, line in json_lines(folder / "question.jsonl")}
    for _, line in json_lines(path):
        if line.get("turn") == 1 and isinstance(model := line.get("model"), str) and collector.takes(model):
            _judged(line, model, asked.get(str(line.get("question_id")), {}), known, collector)


def _judged(
    line: dict[str, Any], model: str, asked: dict[str, Any], contaminated: frozenset[str], collector: Collector
) -> None:
    judged = str(line.get("user_prompt") or "")
    turns, answer = asked.get("turns"), _ANSWER.search(judged)
    question = _QUESTION.search(judged)
    text = turns[0] if isinstance(turns, list) and turns else question[1] if question else None
    score = line.get("score")
    if not isinstance(text, str) or not isinstance(score, int | float) or answer is None:
        collector.skip("judgements without question, answer or score")
    elif text in contaminated:
        collector.skip("prompts that the owners call contaminated")
    else:
        task = str(asked.get("category") or "mt_bench")
        row = Row(id=f"routellm/mt_bench/{line.get('question_id')}", task=task, messages=user(text))
        _add(row, model, score / _BEST, answer[1], collector, numeric=False)


def _contaminated(folder: Path) -> frozenset[str]:
    path = folder / "contaminated_prompts.jsonl"
    if not path.is_file():
        return frozenset()
    return frozenset(str(line.get("eval_prompt")) for _, line in json_lines(path))


_BENCHMARKS: dict[str, Callable[[Path, Collector], None]] = {"gsm8k": _gsm8k, "mmlu": _mmlu, "mt_bench": _mt_bench}
