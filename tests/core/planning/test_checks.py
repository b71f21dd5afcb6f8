"""Lists of options in texts that were made to be slow to read, and what counts as one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter import Step, StepContext, TaskProfile
from taskrouter.learning import identify
from taskrouter.planning import checks
from taskrouter.planning.checks import check_of, lists_options

SLOW = {
    "blank lines": "\n" * 50_000,
    "blanks": "\n" + " " * 50_000,
    "lines of blanks": " \n" * 25_000,
    "one option, then blanks": "A. x" + "\n " * 25_000,
    "no break": "1" + "x" * 50_000,
}


@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW)
def test_blank_lines_without_end_are_read_once(text: str) -> None:
    assert not lists_options(text)
    profile = TaskProfile(task_type="reasoning", confidence=1.0, input_tokens=1, output_tokens=1, evidence="declared")
    step = Step(messages=[{"role": "user", "content": text or "x"}], context=StepContext())
    assert check_of(step, profile) != "choice"
    assert "options" not in identify(step, profile).key


def _loosely(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """The pattern as one would write it first, which takes the square of the blank lines' number."""
    return re.compile(pattern.pattern.replace(r"[^\S\n]*", r"\s*"), pattern.flags)


@given(st.text("\n\r \u2028A2B1.)(x", max_size=24))
def test_an_option_may_stand_behind_any_blanks_and_blank_lines(text: str) -> None:
    loose = (_loosely(checks._OPTIONS), _loosely(checks._LETTERED))
    expected = loose[0].search(text) is not None or len(loose[1].findall(text)) >= checks.SOME
    assert lists_options(text) == expected


@pytest.mark.parametrize(
    "text",
    ["Was ist richtig?\nA) eins\nB) zwei", "哪个正确？\n\n  (A) 一\n  (B) 二", "Где?\r\n1. да\r\n2. нет"],
    ids=["German", "Chinese", "Russian"],
)
def test_options_are_found_in_any_language(text: str) -> None:
    assert lists_options(text)
