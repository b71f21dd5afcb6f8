"""Cases and answers, made in a line."""

import pytest

from taskrouter import ResponseView, Step, ToolCall
from taskrouter.grading import Case, parse_grader


def make_case(expected=None, /, *, step=None, **table):
    step = step or Step(messages=[{"role": "user", "content": "How much?"}])
    return Case(id="1", step=step, grader=parse_grader(table), expected=expected)


def answer(text="", *calls):
    return ResponseView(text=text, tool_calls=tuple(ToolCall(name=name, arguments=given) for name, given in calls))


@pytest.fixture
def case():
    return make_case


@pytest.fixture
def view():
    return answer
