"""The recipe that makes our classifier LangChain's decision model, in LangChain's own `ModelRouterMiddleware`."""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (  # type: ignore[attr-defined] # langchain 1.5
    ModelChoice,
    ModelRouterMiddleware,
)
from langchain_core.decisions import Choice, Noul  # type: ignore[import-not-found] # langchain-core 1.8
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from taskrouter import Router, simulator
from taskrouter.simulator import RunningServer

EXAMPLE = Path(__file__).parents[4] / "examples" / "decision_model.py"
CODE = "Write a Python function that sorts a list of dates."
TRANSLATION = "Translate 'good morning' to French."

pytestmark = pytest.mark.filterwarnings("ignore:.*ModelRouterMiddleware. is in beta")


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture
def classifier(recipe: dict[str, Any]) -> Any:
    return recipe["TaskDecisionModel"](router=Router(["openai/gpt-4.1-mini"]))


@pytest.fixture
def server() -> Iterator[RunningServer]:
    models = [{"id": name, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0} for name in ("small", "large")]
    with simulator.serve({"speed": 0.0, "models": models}) as running:
        yield running


def chosen(classifier: Any, state: Any, criteria: Mapping[str, Any]) -> Any:
    question = Choice(instructions="Which one?", criteria=dict(criteria))
    return classifier.invoke({"state": state, "questions": {"which": question}}).choices["which"]


@pytest.mark.parametrize(
    "state", [CODE, HumanMessage(CODE), [HumanMessage(CODE), AIMessage("Gladly.")], {"task": CODE}]
)
def test_labels_may_be_families(classifier: Any, state: Any) -> None:
    answer = chosen(classifier, state, {"code": None, "writing": None, "chat": None})
    assert answer.choice == "code"
    assert answer.confidence == answer.probabilities["code"] == max(answer.probabilities.values())
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)


async def test_it_answers_asynchronously_in_the_same_way(classifier: Any) -> None:
    question = Choice(instructions="Which one?", criteria={"code": None, "writing": None})
    request = {"state": CODE, "questions": {"which": question}}
    assert await classifier.ainvoke(request) == classifier.invoke(request)


def test_labels_of_ones_own_list_task_types_and_one_takes_the_rest(classifier: Any) -> None:
    criteria = {"strong": ["code", "planning"], "cheap": "everything else"}
    assert chosen(classifier, CODE, criteria).choice == "strong"
    assert chosen(classifier, TRANSLATION, criteria).choice == "cheap"
    assert chosen(classifier, "Hm.", criteria).choice == "cheap"


def test_a_question_of_difficulty_goes_by_the_complexity(classifier: Any) -> None:
    easy, hard = TRANSLATION, f"{CODE} First plan it step by step, prove it correct, then compare three designs. " * 40
    chances = [chosen(classifier, text, {"simple": None, "demanding": None}).probabilities for text in (easy, hard)]
    assert chances[0]["demanding"] < chances[1]["demanding"]
    assert sum(chances[0].values()) == pytest.approx(1.0)


def test_what_it_cannot_answer_is_said(classifier: Any) -> None:
    with pytest.raises(ValueError, match="unknown task type or family 'knitting'"):
        chosen(classifier, CODE, {"strong": ["knitting"], "cheap": None})
    with pytest.raises(ValueError, match="criteria in prose cannot be read"):
        chosen(classifier, CODE, {"strong": "Hard tasks.", "cheap": "Easy tasks."})
    with pytest.raises(TypeError, match="Noul"):
        classifier.invoke({"state": CODE, "questions": {"urgent": Noul(instructions="Is it urgent?")}})


def test_langchains_router_goes_by_it(classifier: Any, server: RunningServer) -> None:
    small, large = (
        ChatOpenAI(model=name, base_url=server.base_url, api_key=SecretStr("any")) for name in ("small", "large")
    )
    router = ModelRouterMiddleware(
        choices={
            "large": ModelChoice(model=large, criteria=["code", "planning", "reasoning"]),
            "small": ModelChoice(model=small, criteria="everything else"),
        },
        instructions="Which model is good enough?",
        classifier=classifier,
    )
    agent: Any = create_agent(small, middleware=[router])
    routes = [agent.invoke({"messages": [("user", asked)]})["model_route"] for asked in (CODE, TRANSLATION)]
    assert [route.choice for route in routes] == [request.model for request in server.requests] == ["large", "small"]


def test_the_example_shows_both_routes(recipe: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    recipe["main"]()
    assert [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()] == ["large", "small"]
