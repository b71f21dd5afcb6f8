"""Graders: what turns an answer into a score from 0 to 1.

`read_suite` reads cases, `Graders` grades answers to them. `docs/graders.md` shows each kind of grader.
"""

from taskrouter.grading.cases import Case, Grade, Grader, Skip, Tally
from taskrouter.grading.graders import Graders
from taskrouter.grading.judge import Ask, Judge, Reply, Verdict
from taskrouter.grading.kinds import GraderConfig, parse_grader
from taskrouter.grading.suite import Suite, read_suite

__all__ = [
    "Ask",
    "Case",
    "Grade",
    "Grader",
    "GraderConfig",
    "Graders",
    "Judge",
    "Reply",
    "Skip",
    "Suite",
    "Tally",
    "Verdict",
    "parse_grader",
    "read_suite",
]
