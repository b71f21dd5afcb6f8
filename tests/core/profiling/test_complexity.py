"""Complexity is a rubric of points: it only rises as a step asks for more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.profile import FAMILIES
from taskrouter.profiling.complexity import POINTS, PRIORS, complexity
from taskrouter.profiling.text import words
from taskrouter.step import Step

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CONSTRAINTS = ["It must be short.", "Use only nouns.", "At most ten lines.", "Never repeat a word.", "Avoid slang."]


def rate(user, *, tools=(), schema=None, task_type="creative_writing", system="") -> tuple[float, tuple[str, ...]]:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    view = Step(messages=messages, tools=tools).view
    return complexity(view, words(view), tools, schema, task_type)


def test_every_task_type_has_a_prior():
    assert set(PRIORS) == set(FAMILIES)


@given(st.permutations(CONSTRAINTS), st.sampled_from(sorted(PRIORS)))
def test_adding_constraints_never_lowers_it(constraints, task_type):
    rated = [rate(" ".join(["Write a poem.", *constraints[:n]]), task_type=task_type)[0] for n in range(6)]
    assert rated == sorted(rated)
    assert rated[-1] > rated[0]


@given(st.integers(0, 40))
def test_more_tools_never_lower_it(count):
    assert rate("go", tools=[TOOL] * count)[0] <= rate("go", tools=[TOOL] * (count + 1))[0]


def test_schema_and_longer_context_raise_it():
    assert rate("go", schema={"type": "object"})[0] > rate("go")[0]
    assert rate("go " * 20_000)[0] > rate("go " * 300)[0]


@given(st.text(max_size=1500), st.sampled_from(sorted(PRIORS)))
def test_it_stays_between_zero_and_one(text, task_type):
    points, signals = rate(text, task_type=task_type, tools=[TOOL] * 9, schema={}, system=text)
    assert 0 <= points <= 1
    assert {s.removeprefix("complexity: ") for s in signals} <= set(POINTS)


@pytest.mark.parametrize(
    ("easy", "hard"),
    [
        (("Hello!", "chat"), ("What is recursion?", "open_qa")),
        (("What is recursion?", "open_qa"), ("Explain how recursion differs from iteration", "open_qa")),
        (
            ("Write a function that adds two numbers", "code_generation"),
            (
                "Design a distributed payment system with retries, reconciliation, fraud checks, logs and failover",
                "code_generation",
            ),
        ),
        (("Summarize this note", "summarization"), ("Prove the theorem by induction and show the bound", "reasoning")),
        (("什么是递归？", "open_qa"), ("设计一个分布式系统，包括缓存、限流、监控和灾备", "open_qa")),
    ],
)
def test_demanding_steps_rate_above_easy_ones(easy, hard):
    assert rate(easy[0], task_type=easy[1])[0] < rate(hard[0], task_type=hard[1])[0]
