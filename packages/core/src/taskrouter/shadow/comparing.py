"""What two answers to the same step say of their plans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from taskrouter.config import ShadowConfig
from taskrouter.errors import ConfigurationError
from taskrouter.grading import Ask, Case, Grade, Graders, Judge, parse_grader
from taskrouter.grading.judge import shown
from taskrouter.grading.kinds import GraderConfig, JudgeKind
from taskrouter.outcome import ResponseView
from taskrouter.step import Step


class Compared(NamedTuple):
    """The scores of an answer and of the incumbent's, of which the difference counts."""

    own: float
    base: float


class Compare(Protocol):
    """Compares a plan's answer with the incumbent's; returns a code where it cannot."""

    source: str
    """Whose word it is: `judge`, `agreement`, `grader`. All pairs of one way count alike: were those that a judge has
    seen to count more than those that need none, plans would look worse than they are."""

    def __call__(self, step: Step, own: ResponseView, base: ResponseView, ask: Ask) -> Compared | str:
        """Compare two answers."""
        ...


class ByAnswer:
    """Compares what answers come to. Where they differ the incumbent is taken to be right, which is the most that the
    plan can lose.
    """

    source = "agreement"

    def __init__(self, comes_to: Callable[[Step, ResponseView], str | None]) -> None:
        self._comes_to = comes_to

    def __call__(self, step: Step, own: ResponseView, base: ResponseView, ask: Ask) -> Compared | str:  # noqa: ARG002 - nobody is asked
        """Compare two answers."""
        wanted = self._comes_to(step, base)
        if wanted is None:
            return "incomparable"
        return Compared(1.0 if self._comes_to(step, own) == wanted else 0.0, 1.0)


class ByJudge:
    """Asks a judge, twice with places exchanged, where answers do not come to the same."""

    source = "judge"

    def __init__(self, config: JudgeKind, comes_to: Callable[[Step, ResponseView], str | None]) -> None:
        self._config = config
        self._comes_to = comes_to

    def __call__(self, step: Step, own: ResponseView, base: ResponseView, ask: Ask) -> Compared | str:
        """Compare two answers."""
        wanted = self._comes_to(step, base)
        if wanted is not None and self._comes_to(step, own) == wanted:
            return Compared(1.0, 1.0)
        verdict = asyncio.run(Judge(self._config, ask).compare(step, shown(own), shown(base)))
        if verdict.problem == "judge_disagreed" and self._config.disagreement == "tie":
            return Compared(0.5, 0.5)
        if verdict.problem is not None:
            return verdict.problem
        own_score = {"first": 1.0, "second": 0.0}.get(verdict.preferred or "tie", 0.5)
        return Compared(own_score, 1.0 - own_score)


class ByGrader:
    """Grades both answers with a grader that needs no expected answer."""

    source = "grader"

    def __init__(self, config: GraderConfig) -> None:
        self._config = config
        self._graders = Graders()
        self._graders.of(config)

    def __call__(self, step: Step, own: ResponseView, base: ResponseView, ask: Ask) -> Compared | str:  # noqa: ARG002 - nobody is asked
        """Compare two answers."""
        case = Case(id="shadow", step=step, grader=self._config)
        grades = [self._graders.grade(case, view) for view in (own, base)]
        for grade in grades:
            if not isinstance(grade, Grade):
                return grade.reason
        own_grade, base_grade = (grade for grade in grades if isinstance(grade, Grade))
        return Compared(own_grade.score, base_grade.score)


def comparer(config: ShadowConfig, comes_to: Callable[[Step, ResponseView], str | None], models: Any) -> Compare:
    """Return how answers are compared.

    Raises:
        ConfigurationError: the judge is not in the pool, or the grader cannot be used here.
    """
    if config.judge is None:
        return ByAnswer(comes_to)
    table = {"kind": "judge", "model": config.judge} if isinstance(config.judge, str) else config.judge
    grader = parse_grader(table, where="shadow.judge")
    if isinstance(grader, JudgeKind):
        if grader.model not in models:
            raise ConfigurationError(
                f"shadow.judge: {grader.model!r} is not in the pool, which has {', '.join(models)}"
            )
        return ByJudge(grader, comes_to)
    if grader.needs_expected:
        raise ConfigurationError(
            f"shadow.judge: a grader of kind {grader.kind!r} needs to be told what is right, which nobody knows of a "
            "step in production; name a model, or use 'python', 'regex' or 'json_schema'"
        )
    return ByGrader(grader)
