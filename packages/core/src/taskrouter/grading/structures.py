"""Graders of structured answers: `json_schema`, `tool_call`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from taskrouter.grading.cases import Case, Grade, Graded, Skip
from taskrouter.grading.kinds import JsonSchema, ToolCalls
from taskrouter.grading.schema import same_json, violation
from taskrouter.grading.texts import normalised
from taskrouter.outcome import ResponseView, ToolCall

_FENCED = re.compile(r"```\w*[ \t]*\n(.*?)```", re.DOTALL)


class JsonSchemaGrader:
    """Checks JSON against a schema."""

    def __init__(self, config: JsonSchema) -> None:
        self._config = config

    def grade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        text = view.text
        if self._config.fenced and (match := _FENCED.search(text)):
            text = match[1]
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return Grade(score=0.0, detail="the answer is not JSON")
        try:
            place = violation(value, self._config.schema_ or case.step.response_schema)
        except ValueError as error:
            return Skip(reason="bad_schema", detail=str(error))
        return Grade(score=float(place is None), detail="satisfies the schema" if place is None else f"breaks {place}")

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        return self.grade(case, view)


class ToolCallGrader:
    """Compares proposed tool calls with the expected ones."""

    def __init__(self, config: ToolCalls) -> None:
        self._config = config

    def grade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        wanted = expected_calls(case.expected)
        if wanted is None:
            return Skip(reason="bad_label", detail="what is expected are no tool calls")
        hits = self._hits(wanted, view.tool_calls)
        most = max(len(wanted), len(view.tool_calls))
        detail = f"{hits} calls as expected, of {len(wanted)} expected and {len(view.tool_calls)} made"
        if self._config.partial:
            return Grade(score=hits / most if most else 1.0, detail=detail)
        return Grade(score=float(hits == most), detail=detail)

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        return self.grade(case, view)

    def _hits(self, wanted: Sequence[Mapping[str, Any]], made: Sequence[ToolCall]) -> int:
        if self._config.order:
            return sum(self._same(one, call) for one, call in zip(wanted, made, strict=False))
        left = list(made)
        hits = 0
        for one in wanted:
            place = next((at for at, call in enumerate(left) if self._same(one, call)), None)
            if place is not None:
                del left[place]
                hits += 1
        return hits

    def _same(self, wanted: Mapping[str, Any], call: ToolCall) -> bool:
        if call.name != wanted["name"]:
            return False
        if "arguments" not in wanted:  # only the name was asked for
            return True
        try:
            given = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError):
            return False
        if not isinstance(given, dict):
            return False
        if self._config.extra_arguments:
            given = {name: value for name, value in given.items() if name in wanted["arguments"]}
        return same_json(self._loose(given), self._loose(wanted["arguments"]))

    def _loose(self, value: Any) -> Any:
        if self._config.strict:
            return value
        if isinstance(value, str):
            return normalised(value)
        if isinstance(value, Mapping):
            return {name: self._loose(inner) for name, inner in value.items()}
        return [self._loose(inner) for inner in value] if isinstance(value, list) else value


def expected_calls(expected: Any) -> list[Mapping[str, Any]] | None:
    """Return the calls that a case expects, or None where it expects something else."""
    calls = expected if isinstance(expected, list) else [expected]
    for call in calls:
        if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
            return None
        if not isinstance(call.get("arguments", {}), Mapping):
            return None
    return list(calls)
