"""`Graders`: grades answers by the graders that their cases name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskrouter.errors import ConfigurationError
from taskrouter.grading.cases import Case, Grade, Graded, Grader, Skip
from taskrouter.grading.judge import Ask, Judge
from taskrouter.grading.kinds import GraderConfig, JudgeKind
from taskrouter.grading.own import OwnGrader
from taskrouter.grading.structures import JsonSchemaGrader, ToolCallGrader
from taskrouter.grading.texts import ContainsGrader, ExactGrader, NumericGrader, RegexGrader
from taskrouter.outcome import ResponseView

_BUILT_IN: Mapping[str, Any] = {
    "exact": ExactGrader,
    "contains": ContainsGrader,
    "regex": RegexGrader,
    "numeric": NumericGrader,
    "json_schema": JsonSchemaGrader,
    "tool_call": ToolCallGrader,
    "python": OwnGrader,
}


class Graders:
    """Grades answers. Each configuration is built once; a grader that raises makes a `Skip`, never a zero.

    Args:
        ask: how a judge is asked; needed only where a case has one.
    """

    def __init__(self, *, ask: Ask | None = None) -> None:
        self._ask = ask
        self._built: dict[str, Grader] = {}

    def of(self, config: GraderConfig) -> Grader:
        """Return the grader of a configuration.

        Raises:
            ConfigurationError: its function cannot be imported, or it is a judge and nobody can ask one.
        """
        key = config.model_dump_json()
        if key not in self._built:
            self._built[key] = self._build(config)
        return self._built[key]

    def check(self, cases: tuple[Case, ...]) -> None:
        """Build the graders of all cases, so that a mistake shows before any model is called.

        Raises:
            ConfigurationError: as `of`; the message names the case.
        """
        for case in cases:
            try:
                self.of(case.grader)
            except ConfigurationError as error:
                raise ConfigurationError(f"case {case.id!r}: {error}") from error

    def grade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer.

        Raises:
            ConfigurationError: as `of`.
        """
        grader = self.of(case.grader)
        try:
            return _checked(grader.grade(case, view))
        except Exception as error:  # noqa: BLE001 - one that is not ours may raise anything
            return _raised(case, error)

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer without blocking the event loop.

        Raises:
            ConfigurationError: as `of`.
        """
        grader = self.of(case.grader)
        try:
            return _checked(await grader.agrade(case, view))
        except Exception as error:  # noqa: BLE001 - one that is not ours may raise anything
            return _raised(case, error)

    def _build(self, config: GraderConfig) -> Grader:
        if isinstance(config, JudgeKind):
            if self._ask is None:
                raise ConfigurationError("a grader of kind 'judge' needs a model to ask: pass `ask` to `Graders`")
            return Judge(config, self._ask)
        grader: Grader = _BUILT_IN[config.kind](config)
        return grader


def _checked(result: Any) -> Graded:
    if isinstance(result, Grade | Skip):
        return result
    return Skip(reason="bad_label", detail=f"the grader returned a {type(result).__name__}")


def _raised(case: Case, error: Exception) -> Skip:
    return Skip(reason="raised", detail=f"the grader {case.grader.kind!r} raised {type(error).__name__}")
