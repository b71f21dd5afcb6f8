"""Agreement as a plan: which steps have a check, whom it asks, what it says of itself, and how it is turned off."""

from __future__ import annotations

from typing import Any

import pytest

from taskrouter import Router, Step, StepContext
from taskrouter.planning.checks import asks_what_code_computes

CALCULATOR = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
    },
}


def model(name: str, price: float, quality: float = 0.7, **fields: Any) -> dict[str, Any]:
    figure = {"mean": quality, "weight": 30, "source": "our own tests"}
    return {
        "id": name,
        "input_usd_per_million": price,
        "output_usd_per_million": 4 * price,
        "context_tokens": 100_000,
        "capabilities": {"tools": True, "json_schema": True},
        "quality": {"tool_use": figure, "reasoning": figure, "general": figure},
        **fields,
    }


POOL = (
    model("gpt-large", 5.0, 0.85),
    model("gpt-tiny", 0.1, 0.75),
    model("claude-tiny", 0.2, 0.72),
    model("claude-middle", 1.5, 0.8),
    model("gemini-tiny", 0.1, 0.6),
)


def router(policy: Any = "safe", **config: Any) -> Router:
    return Router.from_config({"router": {"incumbent": "gpt-large"}, "models": POOL, "policy": policy, **config})


def tool_step(**fields: Any) -> Step:
    return Step(messages=[{"role": "user", "content": "Add 2 and 3."}], tools=[CALCULATOR], **fields)


def text_step(text: str, task_type: str | None = None) -> Step:
    return Step(messages=[{"role": "user", "content": text}], task_type=task_type)


def test_by_default_a_step_with_tools_asks_two_cheap_models_of_different_houses_first():
    decision = router().route(tool_step())
    assert str(decision.plan) == "agree(gpt-tiny, claude-tiny, gpt-large)"
    assert decision.reason == "agreement"
    assert "gpt-tiny and claude-tiny are asked at once" in decision.detail
    assert set(decision.fallbacks).isdisjoint(decision.plan.models)
    assert decision.ranking[0].plan == decision.plan
    assert decision.ranking[0].cost_usd is not None
    assert decision.ranking[1].cost_usd is not None


def test_a_problem_whose_answer_is_a_number_is_agreed_on_and_one_about_code_or_with_options_is_not():
    plans = {
        name: router().route(text_step(text, "reasoning")).plan.kind
        for name, text in {
            "number": "A train takes 3 hours for 240 km. How fast is it?",
            "code": "What does this return?\n```python\ndef f(x):\n    return x + 1\n```\nf(3) == ?",
            "options": "How many legs have 3 spiders?\nA. 18\nB. 24\nC. 30",
        }.items()
    }
    assert plans == {"number": "agree", "code": "single", "options": "single"}


@pytest.mark.parametrize("task_type", ["summarization", "creative_writing", "open_qa", "code_generation"])
def test_texts_that_cannot_be_compared_stay_with_the_incumbent(task_type: str):
    decision = router().route(text_step("Write about 3 rivers.", task_type))
    assert str(decision.plan) == "gpt-large"
    assert decision.expected_loss.mean == 0.0


CODE = "What does f(3) return?\n```python\ndef f(x):\n    return x + 1\n```"


def test_balanced_agrees_on_code_within_its_loss_by_the_cheapest_pair_that_keeps_to_it():
    step = text_step(CODE, "reasoning")
    plans = {loss: str(router({"name": "balanced", "max_loss": loss}).route(step).plan) for loss in (0.02, 0.01, 0.001)}
    assert plans == {
        0.02: "agree(gpt-tiny, claude-tiny, gpt-large)",
        0.01: "agree(claude-middle, gpt-tiny, gpt-large)",
        0.001: "gpt-large",
    }


def test_agreement_is_turned_off_for_all_steps_by_a_rule_or_for_one_step():
    off = {"name": "safe", "agreement": False}
    assert str(router(off).route(tool_step()).plan) == "gpt-large"
    rules = [{"name": "fast lane", "when": {"node": "hot"}, "policy": off}]
    ruled = router(rules=rules)
    assert str(ruled.route(tool_step(context=StepContext(node="hot"))).plan) == "gpt-large"
    assert ruled.route(tool_step(context=StepContext(node="cold"))).plan.kind == "agree"
    assert str(router().route(tool_step(), policy=off).plan) == "gpt-large"


def test_a_stream_is_not_agreed_on_unless_it_may_be_held_back():
    assert str(router().route(tool_step(), streamed=True).plan) == "gpt-large"
    held = router(execution={"buffer_streams": True})
    assert held.route(tool_step(), streamed=True).plan.kind == "agree"


def test_models_that_may_not_take_the_step_are_not_asked():
    rules = [{"name": "no claude", "avoid": ["claude-tiny"]}]
    assert str(router(rules=rules).route(tool_step()).plan) == "agree(gpt-tiny, gemini-tiny, gpt-large)"
    rules = [{"name": "one house", "avoid": ["claude-tiny", "claude-middle", "gemini-tiny"]}]
    alone = router(rules=rules).route(tool_step())
    assert str(alone.plan) == "gpt-large"
    assert "no two cheap and able models of different houses" in alone.detail
    assert str(router().route(tool_step(), use=["gpt-tiny", "claude-tiny"]).plan) in {"gpt-tiny", "claude-tiny"}


def test_models_of_which_nothing_is_known_are_not_relied_on_before_those_with_figures():
    unknown = {**model("mystery", 0.01), "quality": {}}
    pool = {"router": {"incumbent": "gpt-large"}, "models": (*POOL, unknown)}
    assert "mystery" not in Router.from_config(pool).route(tool_step()).plan.models


def test_without_a_price_nothing_can_be_saved_so_nothing_is_agreed_on():
    pool = [{"id": name, "capabilities": {"tools": True}} for name in ("gpt-x", "claude-x", "gemini-x")]
    decision = Router.from_config({"router": {"incumbent": "gpt-x"}, "models": pool}).route(tool_step())
    assert str(decision.plan) == "gpt-x"


def test_the_decision_says_what_it_is_expected_to_lose_and_how_that_is_known():
    decision = router().route(tool_step())
    loss = decision.expected_loss
    assert loss.low < loss.mean < loss.high
    assert "771 prompts" in loss.source
    assert f"loss      {100 * loss.mean:+.1f} points against gpt-large" in decision.explain()
    said = decision.to_dict()
    assert said["plan"] == {"kind": "agree", "models": ["gpt-tiny", "claude-tiny", "gpt-large"]}
    assert said["expected_loss"] == loss._asdict()
    assert said["ranking"][0]["loss"] == loss._asdict()


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("What does f(3) return?\n```python\ndef f(x):\n    return x + 1\n```", True),
        ("Determine the output of this program for the input 7:\n```js\nconsole.log(f(7));\n```", True),
        ("Write a function that returns the sum.\n```python\ndef total(xs):\n    pass\n```", False),
        ("Complete the function so that it returns the sum.\n```python\ndef total(xs):\n```", False),
        ("Fix this: it returns the wrong value.\n```python\ndef f(x):\n    return x\n```", False),
        ("What value does this bring to our customers?", False),
        ("Explain what this function returns.\n```python\ndef f(x):\n    return x\n```", False),
    ],
)
def test_a_question_for_the_value_that_code_gives_is_told_from_a_request_for_code(text: str, asks: bool):
    assert asks_what_code_computes(text) is asks
