"""Plans on recorded outcomes: what counts as the answer, and that every call is charged."""

import pytest

from taskrouter.decision import Plan
from taskrouter.evaluation.recordings import Prompt, RecordedOutcome
from taskrouter.evaluation.replay import Served, serve
from taskrouter.step import Step


def prompt(**outcomes) -> Prompt:
    return Prompt(id="1", step=Step(messages=[{"role": "user", "content": "x"}]), outcomes=outcomes)


def outcome(score, cost, latency=1.0, answer=None, valid=None) -> RecordedOutcome:
    return RecordedOutcome(score=score, cost_usd=cost, latency_s=latency, answer=answer, valid=valid)


AGREE = Plan(kind="agree", models=("a", "b", "judge"))
JUDGE = outcome(1.0, 10.0, 4.0, "42")


def test_a_single_model_is_one_call():
    assert serve(Plan(models=("a",)), prompt(a=outcome(0.5, 1.0, 2.0))) == Served(0.5, 1.0, 1, 2.0)


def test_two_models_that_agree_are_two_calls_at_once():
    agreed = prompt(a=outcome(0.5, 1.0, 2.0, "41"), b=outcome(0.0, 2.0, 3.0, "41"), judge=JUDGE)
    assert serve(AGREE, agreed) == Served(0.5, 3.0, 2, 3.0)


@pytest.mark.parametrize(
    ("first", "second"),
    [({"answer": "41"}, {"answer": "43"}), ({}, {}), ({"answer": "41", "valid": False}, {"answer": "41"})],
)
def test_without_a_valid_agreement_the_judge_is_called_and_charged_too(first, second):
    split = prompt(a=outcome(0.0, 1.0, 2.0, **first), b=outcome(0.0, 2.0, 3.0, **second), judge=JUDGE)
    assert serve(AGREE, split) == Served(1.0, 13.0, 3, 7.0)


def test_a_gate_passes_what_is_not_known_to_be_invalid():
    gate = Plan(kind="gate", models=("a", "judge"))
    assert serve(gate, prompt(a=outcome(0.0, 1.0, valid=True), judge=JUDGE)).calls == 1
    assert serve(gate, prompt(a=outcome(0.0, 1.0), judge=JUDGE)).calls == 1
    assert serve(gate, prompt(a=outcome(0.0, 1.0, valid=False), judge=JUDGE)) == Served(1.0, 11.0, 2, 5.0)
    assert serve(gate, prompt(a=outcome(0.0, 1.0, valid=False), judge=outcome(0.0, 1.0, valid=False))).calls == 2


def test_an_unknown_latency_makes_the_whole_unknown():
    split = prompt(a=outcome(0.0, 1.0, None, "1"), b=outcome(0.0, 2.0, 3.0, "2"), judge=JUDGE)
    assert serve(AGREE, split).latency_s is None
