"""Suites: files of cases, one JSON document per line.

    {"defaults": {"grader": {"kind": "numeric"}}}
    {"id": "7", "messages": [...], "tools": [...]?, "response_schema": {...}?, "context": {"agent", "node", ...}?,
     "task_type"?, "expected"?, "grader": {"kind": ..., ...}?}

The first line may hold the grader of those cases that name none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from taskrouter.config import read_text, validated
from taskrouter.errors import ConfigurationError, InvalidStepError
from taskrouter.grading.cases import Case
from taskrouter.grading.kinds import GraderConfig, JsonSchema, parse_grader
from taskrouter.grading.schema import violation
from taskrouter.grading.structures import expected_calls
from taskrouter.grading.texts import expected_number, normalised
from taskrouter.profile import FAMILIES
from taskrouter.step import Step, StepContext

FEW = 10
"""Below this many cases a suite says little about any model."""
_CONTEXT = tuple(field.name for field in fields(StepContext))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Cases of one file."""

    path: str
    cases: tuple[Case, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should be told before money is spent on it."""
        count = len(self.cases)
        if count == 1:
            return (f"{self.path}: one case only: its score is 0 or 1 by chance, and proves nothing",)
        if count < FEW:
            return (f"{self.path}: {count} cases only: differences between models are mostly chance",)
        return ()


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    response_schema: dict[str, Any] | None = None
    context: dict[str, Any] = {}
    task_type: str | None = None
    expected: Any = None
    grader: dict[str, Any] | None = None


class _Defaults(BaseModel):
    model_config = ConfigDict(extra="forbid")

    grader: dict[str, Any]


def read_suite(path: str | Path, *, grader: GraderConfig | None = None) -> Suite:
    """Read a suite.

    Args:
        path: the file.
        grader: for cases that name none, where the file has no default of its own.

    Raises:
        ConfigurationError: the file cannot be read or holds no case, or a line is wrong; the message names file and
            line, and never quotes what stands there.
    """
    cases: dict[str, tuple[int, Case]] = {}
    for position, (number, document) in enumerate(_lines(Path(path))):
        where = f"{path}:{number}"
        if "defaults" in document and "messages" not in document:
            if position:
                raise ConfigurationError(f"{where}: 'defaults' belong on the first line")
            grader = _defaults(document, where)
            continue
        case = _case(document, grader, where)
        if case.id in cases:
            raise ConfigurationError(f"{where}: the id {case.id!r} stands on line {cases[case.id][0]} too")
        cases[case.id] = (number, case)
    if not cases:
        raise ConfigurationError(f"{path}: holds no cases; a suite has one JSON document per line")
    return Suite(path=str(path), cases=tuple(case for _, case in cases.values()))


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"{path}:{number}: not a JSON document: {error.msg}") from None
        except (ValueError, RecursionError):
            raise ConfigurationError(f"{path}:{number}: not a JSON document") from None
        if not isinstance(document, dict):
            raise ConfigurationError(f"{path}:{number}: a case is a JSON object, not a {type(document).__name__}")
        yield number, document


def _defaults(document: Mapping[str, Any], where: str) -> GraderConfig:
    if document.keys() != {"defaults"} or not isinstance(document["defaults"], dict):
        raise ConfigurationError(f"{where}: 'defaults' is a table, and stands alone on its line")
    defaults = validated(_Defaults, document["defaults"], where=f"{where}: defaults")
    return parse_grader(defaults.grader, where=f"{where}: defaults.grader")


def _case(document: Mapping[str, Any], default: GraderConfig | None, where: str) -> Case:
    line = validated(_Line, document, where=where)
    config = default if line.grader is None else parse_grader(line.grader, where=f"{where}: grader")
    if config is None:
        raise ConfigurationError(
            f"{where}: no 'grader', and the suite has no default: add one, or begin the file with "
            '{"defaults": {"grader": {"kind": ...}}}'
        )
    case = Case(id=line.id, step=_step(line, where), grader=config, expected=line.expected)
    if problem := _unfit(case):
        raise ConfigurationError(f"{where}: {problem}")
    return case


def _step(line: _Line, where: str) -> Step:
    unknown = sorted(set(line.context) - set(_CONTEXT))
    if unknown:
        raise ConfigurationError(f"{where}: unknown key 'context.{unknown[0]}'; known here: {', '.join(_CONTEXT)}")
    if line.task_type is not None and line.task_type not in FAMILIES:
        raise ConfigurationError(f"{where}: unknown task type {line.task_type!r}; known: {', '.join(sorted(FAMILIES))}")
    try:
        step = Step(
            messages=line.messages,
            tools=line.tools or (),
            response_schema=line.response_schema,
            context=StepContext(**line.context),
            task_type=line.task_type,
        )
        violation({}, step.response_schema)
        for tool in step.tools:
            violation({}, tool["function"].get("parameters"))
    except (InvalidStepError, ValueError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return step


def _unfit(case: Case) -> str | None:
    """Say what is wrong between a grader and its case."""
    kind = case.grader.kind
    if case.grader.needs_expected and case.expected is None:
        return f"a grader of kind {kind!r} needs 'expected'"
    fits, problem = _NEEDS.get(kind, (lambda _: True, ""))
    return None if fits(case) else problem


def _has_texts(case: Case) -> bool:
    texts = case.expected if isinstance(case.expected, list) else [case.expected]
    return bool(texts) and all(isinstance(text, str) and normalised(text) for text in texts)


def _has_schema(case: Case) -> bool:
    own = case.grader.schema_ if isinstance(case.grader, JsonSchema) else None
    return own is not None or case.step.response_schema is not None


_NEEDS: dict[str, tuple[Callable[[Case], bool], str]] = {
    "exact": (lambda case: case.expected != [], "'expected' is an empty list; name at least one answer"),
    "contains": (_has_texts, "'expected' must be a text, or a list of texts, and none of them blank"),
    "numeric": (lambda case: expected_number(case.expected) is not None, "'expected' must be a number"),
    "tool_call": (
        lambda case: expected_calls(case.expected) is not None,
        '\'expected\' must be {"name": ..., "arguments": {...}}, or a list of these',
    ),
    "json_schema": (_has_schema, "a grader of kind 'json_schema' needs a 'schema', or the case a 'response_schema'"),
}
"""Kind -> what a case of it must have, and what to say where it has not."""
