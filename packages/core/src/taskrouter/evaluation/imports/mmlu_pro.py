"""TIGER-AI-Lab/MMLU-Pro: `eval_results`, one list of answers per model or per model and category.

    eval_results/model_outputs_MODEL_5shots.json
    eval_results/model_outputs_MODEL_5shots.zip        with one or more such lists inside
    eval_results/MODEL/CATEGORY_result.json

An item has `question_id`, `question`, `options`, `answer`, `category`, the prediction `pred` and the text it was taken
from. The owners count a text without a letter as a random guess; here it is wrong.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports.common import Collector, Row, tokens_of, user
from taskrouter.evaluation.imports.files import parse_json, read_bytes
from taskrouter.evaluation.recordings import RecordedOutcome

LETTERS = "ABCDEFGHIJ"
TOKENS_PER_EXAMPLE = 220
"""Of the worked examples before a question, which the files do not repeat; the same for every model."""
_NAMED = re.compile(r"model_outputs_(?P<model>.+?)(?:_(?P<shots>\d+)-?shots?)?")
_SAID = re.compile(r"answer is:?\s*\**\(?([A-J])\b|[aA]nswer:\s*\**\(?([A-J])\b")
_TEXTS = ("model_outputs", "response", "generated_text")
_SHOTS = 5


def read_mmlu_pro(folder: Path, collector: Collector) -> None:
    """Gather the outcomes of all models.

    Args:
        folder: a clone, or its folder `eval_results`.
        collector: takes them in.

    Raises:
        ConfigurationError: the folder is not laid out as above, or a file is damaged.
    """
    root = folder / "eval_results" if (folder / "eval_results").is_dir() else folder
    paths = [*sorted(root.glob("*.json")), *sorted(root.glob("*.zip")), *sorted(root.glob("*/*_result.json"))]
    if not paths:
        raise ConfigurationError(
            f"{folder}: no results of MMLU-Pro: looked for model_outputs_*.json, model_outputs_*.zip and "
            "*/*_result.json in it and in its folder 'eval_results'"
        )
    for path in paths:
        model, shots = _model(path, root)
        if model is None:
            collector.skip("files whose name says no model")
        elif collector.takes(model):
            collector.tell(model)
            for items in _lists(path):
                _gather(items, model, shots, collector)
    collector.note(
        f"tokens are estimated from the length of the texts, with {TOKENS_PER_EXAMPLE} per worked example before the "
        "question; costs by list price"
    )


def _model(path: Path, root: Path) -> tuple[str | None, int]:
    named = _NAMED.fullmatch(path.stem)
    if named is not None:
        return named["model"], _SHOTS if named["shots"] is None else int(named["shots"])
    return (path.parent.name if path.parent != root else None), _SHOTS


def _lists(path: Path) -> Iterator[list[Any]]:
    data = read_bytes(path)
    if path.suffix != ".zip":
        yield _list(parse_json(data, str(path)), str(path))
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [n for n in archive.namelist() if n.endswith(".json") and not n.startswith("__MACOSX")]
            documents = [(name, archive.read(name)) for name in sorted(names) if "summary" not in name]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise ConfigurationError(f"{path}: the zip archive is damaged: {type(error).__name__}") from error
    if not documents:
        raise ConfigurationError(f"{path}: the zip archive holds no .json file with answers")
    for name, document in documents:
        yield _list(parse_json(document, f"{path}: {name}"), f"{path}: {name}")


def _list(document: Any, where: str) -> list[Any]:
    if not isinstance(document, list):
        raise ConfigurationError(f"{where}: a {type(document).__name__} where a list of answers belongs")
    return document


def _gather(items: list[Any], model: str, shots: int, collector: Collector) -> None:
    for item in items:
        row = _row(item)
        text = next((item[key] for key in _TEXTS if isinstance(item.get(key), str)), None) if row else None
        if row is None or text is None:
            collector.skip("items without 'question_id', 'question', 'options', 'answer' or the model's text")
            continue
        pred = item.get("pred") or _said(text)
        asked, given = tokens_of(row.messages[0]["content"]) + shots * TOKENS_PER_EXAMPLE, tokens_of(text)
        outcome = RecordedOutcome(
            score=float(pred == item["answer"]),
            cost_usd=collector.cost_usd(model, asked, given),
            input_tokens=asked,
            output_tokens=given,
            answer=pred if isinstance(pred, str) else None,
        )
        collector.add(row, model, outcome)


def _row(item: Any) -> Row | None:
    if not isinstance(item, dict) or not isinstance(options := item.get("options"), list):
        return None
    if "question_id" not in item or not isinstance(item.get("question"), str) or item.get("answer") is None:
        return None
    lettered = zip(LETTERS, (option for option in options if option != "N/A"), strict=False)
    text = "\n".join([item["question"], *(f"{letter}. {option}" for letter, option in lettered)])
    category = item.get("category")
    task = category.strip() if isinstance(category, str) else None
    return Row(id=f"mmlu-pro/{item['question_id']}", task=task, messages=user(text))


def _said(text: str) -> str | None:
    matches = _SAID.findall(text)
    return next(filter(None, matches[-1])) if matches else None
