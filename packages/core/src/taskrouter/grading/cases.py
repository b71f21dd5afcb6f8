"""The values of grading: a case, the grade of an answer to it, or why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from taskrouter.grading.kinds import GraderConfig
from taskrouter.outcome import ResponseView
from taskrouter.step import Step


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Case:
    """One step whose answers can be graded."""

    id: str
    step: Step
    grader: GraderConfig
    expected: Any = None
    """What is right, in the form that the kind of grader asks for; None where it needs nothing."""

    def __repr__(self) -> str:
        return f"Case({self.id!r}, {self.grader.kind})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """How good an answer is.

    Raises:
        ValueError: the score is no number from 0 to 1.
    """

    score: float
    """0 (wrong) to 1 (right)."""
    detail: str = ""
    """Why, in words that quote neither the answer nor what was expected."""
    cost_usd: float | None = 0.0
    """What grading has cost, which only a judge does; None where a price is unknown."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score is {self.score!r}; a score lies between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """An answer that could not be graded. It is no zero: leave it out of every mean, and count it."""

    reason: str
    """Low-cardinality code: `raised`, `timed_out`, `bad_label`, `given_up`, `too_long`, `bad_schema`,
    `judge_nonsense`, `judge_disagreed`, `judge_failed`."""
    detail: str = ""
    """The same in words."""
    cost_usd: float | None = 0.0
    """As in `Grade`: a judge that talks nonsense is paid all the same."""


Graded: TypeAlias = Grade | Skip


class Grader(Protocol):
    """Grades answers. Built-in ones never raise; one of your own may, and `Graders` makes a `Skip` of it."""

    def grade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer. May block; takes no longer than its own time limit."""
        ...

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Do the same without blocking the event loop."""
        ...


@dataclass(slots=True)
class Tally:
    """Adds up grades, and counts what could not be graded."""

    graded: int = 0
    score_sum: float = 0.0
    cost_usd: float = 0.0
    """Of all grades and skips whose cost is known."""
    unpriced: int = 0
    """Grades and skips whose cost is not."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason -> how many."""

    def add(self, result: Graded) -> None:
        """Take in one result."""
        if result.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += result.cost_usd
        if isinstance(result, Skip):
            self.skipped[result.reason] += 1
        else:
            self.graded += 1
            self.score_sum += result.score

    @property
    def mean(self) -> float | None:
        """Mean score of what was graded; None where nothing was."""
        return self.score_sum / self.graded if self.graded else None

    def to_dict(self) -> Mapping[str, Any]:
        """Return the figures, for `--json`."""
        return {
            "graded": self.graded,
            "mean": self.mean,
            "skipped": dict(self.skipped),
            "cost_usd": self.cost_usd,
            "unpriced": self.unpriced,
        }
