"""A made-up recording: two kinds of step, three models, and texts that say which kind a prompt is."""

import random

import pytest
from benchmarks.quality.data import Grid

from taskrouter.evaluation.recordings import Prompt, RecordedOutcome, Recording
from taskrouter.step import Step, StepContext

COSTS_USD = {"big": 0.010, "mid": 0.002, "tiny": 0.001}
CHANCES = {"chat": {"big": 0.95, "mid": 0.95, "tiny": 0.9}, "math": {"big": 0.9, "mid": 0.6, "tiny": 0.3}}
WORDS = {
    "chat": "hello thanks welcome goodbye sorry greeting customer",
    "math": "sum root square prime angle proof axiom",
}
TOOL = {"type": "function", "function": {"name": "reply", "parameters": {"type": "object"}}}


def made(prompts: int, *, seed: int = 0, tools: bool = False) -> Grid:
    """Prompts of both kinds in turn; answers are numbers, right ones equal."""
    draws = random.Random(seed)
    found = []
    for number in range(prompts):
        task = ("chat", "math")[number % 2]
        text = " ".join(draws.choices(WORDS[task].split(), k=6)) + f" number{number}"
        outcomes = {}
        for model, chance in CHANCES[task].items():
            right = draws.random() < chance
            answer = "1" if right else str(draws.randint(2, 9))
            outcomes[model] = RecordedOutcome(
                score=float(right), cost_usd=COSTS_USD[model] * draws.uniform(0.5, 1.5), answer=answer
            )
        step = Step(
            messages=[{"role": "user", "content": text}],
            tools=[TOOL] if tools and task == "chat" else (),
            context=StepContext(node=task),
        )
        found.append(Prompt(id=str(number), step=step, outcomes=outcomes))
    return Grid("made", Recording.of(found))


@pytest.fixture(scope="session")
def make_grid():
    return made


@pytest.fixture(scope="session")
def grid():
    return made(200)
