"""What an answer comes to, as a text: two answers agree where their texts are equal.

Wrong agreement costs quality, missed agreement costs a call: what is not surely the same is told apart, and what cannot
be told (long text, a question, a refusal) agrees with nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from taskrouter.errors import raised_at
from taskrouter.execution.answer_texts import final_answer
from taskrouter.execution.answer_values import normal
from taskrouter.outcome import ResponseView, ToolCall
from taskrouter.ports import AnswerReader
from taskrouter.step import Step

logger = logging.getLogger("taskrouter.answers")

_CUT = frozenset({"length", "max_tokens", "MAX_TOKENS"})
_UNREADABLE = (ValueError, TypeError, RecursionError, OverflowError)


def canonical(view: ResponseView, step: Step, readers: Mapping[str, AnswerReader] | None = None) -> str | None:
    """Return what an answer comes to, or None where it cannot be told; that agrees with nothing.

    - Tool calls: their names and arguments, normalised by the tools' schemas; the order of parallel calls is free.
    - With a `response_schema`: the JSON of the answer, normalised in the same way.
    - Else the final answer that the text gives: a number with its unit, a letter of multiple choice, a few words.

    Args:
        view: a complete answer.
        step: what was asked.
        readers: readers of the user's, by name; the first that returns text decides.
    """
    for name, reader in (readers or {}).items():
        if (said := _read(name, reader, step, view)) is not None:
            return said
    if view.refused:
        return None
    try:
        if view.tool_calls:
            return "calls " + _text(sorted(_text(_call(call, step)) for call in view.tool_calls))
        if step.response_schema is not None:
            return "json " + _text(normal(_parsed(view.text), step.response_schema))
    except _UNREADABLE:
        return None
    return None if view.finish_reason in _CUT else final_answer(view.text, question=step.view.user)


def _read(name: str, reader: AnswerReader, step: Step, view: ResponseView) -> str | None:
    try:
        said: object = reader(step, view)
    except Exception as error:  # noqa: BLE001 - it is the user's, and may raise anything
        # Neither the error's text nor its traceback: a reader may quote the answer in them.
        logger.warning("the reader %r raised %s", name, raised_at(error))
        return None
    if said is None or isinstance(said, str):
        return said
    logger.warning("the reader %r returned a %s; it must return text or None", name, type(said).__name__)
    return None


def _call(call: ToolCall, step: Step) -> list[Any]:
    offered = (tool["function"] for tool in step.tools)
    schema = next((function.get("parameters") for function in offered if function["name"] == call.name), None)
    return [call.name, normal(_parsed(call.arguments or "{}"), schema or {})]


def _parsed(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice: which of the values counts is for each reader to say")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
