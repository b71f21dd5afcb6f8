"""Our classifier as LangChain's own decision model, for `ModelRouterMiddleware`. Simulated models: no key, no network.

    pip install 'langchain-taskrouter[demo]' 'langchain>=1.5'
    python examples/decision_model.py

`ModelRouterMiddleware` classifies the last human message once per run and stays with one model to its end. To route
every step, with prices, fallback and budgets, use `RoutingMiddleware`: see `examples/middleware.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from langchain_core.messages import BaseMessage, convert_to_openai_messages
from langchain_openai import ChatOpenAI
from pydantic import ConfigDict, Field, SecretStr

from taskrouter import Router, Step, TaskProfile, simulator
from taskrouter.profile import FAMILIES

if find_spec("langchain_core.decisions") is None:
    print("This example needs langchain-core 1.8 and langchain 1.5 or newer.")
    sys.exit()

from langchain.agents import create_agent
from langchain.agents.middleware import ModelChoice, ModelRouterMiddleware  # type: ignore[attr-defined] # 1.5
from langchain_core.decisions import (  # type: ignore[import-not-found] # langchain-core 1.8
    BaseDecisionModel,
    Choice,
    ChoiceAnswer,
    ClassifierResponse,
)

SIMULATED = [{"id": name, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0} for name in ("small", "large")]
DIFFICULTY = {"simple", "demanding"}
KNOWN = {*FAMILIES, *FAMILIES.values()}


class TaskDecisionModel(BaseDecisionModel):  # type: ignore[misc] # langchain-core 1.8
    """Answers `Choice` questions by what kind of task a text is, without asking a model.

    The labels of a question are `simple` and `demanding`; or task types and families; or names of your own, whose
    criteria are lists of these. A label with other criteria gets whatever no list names. The confidence is the
    probability of the label that was chosen.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: str = "taskrouter"
    router: Router = Field(exclude=True, repr=False)
    """Its classifier is asked; nothing is sent to its models."""

    @property
    def _provider(self) -> str:
        return "taskrouter"

    def _classify(self, state: Any, questions: Mapping[str, Any]) -> ClassifierResponse:
        profile = self.router.route(Step(messages=as_messages(state))).profile
        answers = {name: answer(question, profile) for name, question in questions.items()}
        return ClassifierResponse(model=self.model, answers=answers)

    async def _aclassify(self, state: Any, questions: Mapping[str, Any]) -> ClassifierResponse:
        return self._classify(state, questions)


def as_messages(state: Any) -> list[dict[str, Any]]:
    """Return what is to be classified as messages."""
    if isinstance(state, BaseMessage):
        state = [state]
    if isinstance(state, list | tuple) and state and all(isinstance(part, BaseMessage) for part in state):
        messages: list[dict[str, Any]] = convert_to_openai_messages(state)
        return messages
    text = state if isinstance(state, str) else json.dumps(state, default=str)
    return [{"role": "user", "content": text}]


def answer(question: Any, profile: TaskProfile) -> ChoiceAnswer:
    """Answer one question."""
    if not isinstance(question, Choice):
        raise TypeError(f"a {type(question).__name__} asks for what a task profile does not say; ask a Choice")
    if question.criteria.keys() == DIFFICULTY:
        chances = {"demanding": profile.complexity, "simple": 1.0 - profile.complexity}
    else:
        chances = by_task(question.criteria, dict(profile.alternatives))
    best = max(chances, key=lambda label: chances[label])
    return ChoiceAnswer(type="choice", choice=best, probabilities=chances, confidence=chances[best])


def by_task(criteria: Mapping[str, Any], task_types: Mapping[str, float]) -> dict[str, float]:
    """Return the probability of each label, from the probabilities of the task types."""
    named = {label: set(said) if isinstance(said, list) else {label} & KNOWN for label, said in criteria.items()}
    if unknown := sorted(set().union(*named.values()) - KNOWN):
        raise ValueError(f"unknown task type or family {unknown[0]!r}; known: {', '.join(sorted(KNOWN))}")
    if not any(named.values()):
        raise ValueError("no label says which tasks it is for: criteria in prose cannot be read; give a list of types")
    chances = {
        label: sum(chance for task, chance in task_types.items() if {task, FAMILIES[task]} & names)
        for label, names in named.items()
    }
    left = max(0.0, 1.0 - sum(chances.values()))
    takers = [label for label, names in named.items() if not names] or list(named)
    return {label: min(1.0, chance + left / len(takers) * (label in takers)) for label, chance in chances.items()}


def main() -> None:
    with simulator.serve({"models": SIMULATED}) as server:
        small, large = (
            ChatOpenAI(model=name, base_url=server.base_url, api_key=SecretStr("none")) for name in ("small", "large")
        )
        once_per_run = ModelRouterMiddleware(
            choices={
                "large": ModelChoice(model=large, criteria=["code", "planning", "reasoning"]),
                "small": ModelChoice(model=small, criteria="everything else"),
            },
            instructions="Which model is good enough?",
            classifier=TaskDecisionModel(router=Router(["openai/gpt-4.1-mini"])),
        )
        agent: Any = create_agent(small, middleware=[once_per_run])
        for question in ("Write a Python function that sorts a list of dates.", "Translate 'good morning' to French."):
            state = agent.invoke({"messages": [("user", question)]})
            route = state["model_route"]
            print(f"{route.choice} ({route.confidence:.2f}): {question}")


if __name__ == "__main__":
    main()
