"""What is believed while serving: of proposers beside the default, of identities alike, and of prices."""

import random

import pytest

from taskrouter.decision import NO_LOSS, Loss, Plan
from taskrouter.learning import Scored
from taskrouter.learning.beliefs import believe
from taskrouter.learning.cases import Arm, Case, named

BIG = "big"
AGREE = Plan(kind="agree", models=("small", "tiny", BIG))
WIDE = Loss(0.05, -0.15, 0.25, "cards")
ARMS = (
    Arm(plan=AGREE, cost_usd=0.5, loss=Loss(0.0, -0.02, 0.02, "measured")),
    Arm(plan=Plan(models=(BIG,)), cost_usd=1.0, loss=NO_LOSS),
    Arm(plan=Plan(models=("small",)), cost_usd=0.1, loss=WIDE),
    Arm(plan=Plan(models=("tiny",)), cost_usd=0.05, loss=WIDE),
)


def case_of(rows: list[dict[str, float]]) -> Case:
    case = Case("tool_use", named(ARMS))
    for row in rows:
        case.record({name: Scored(score) for name, score in row.items()}, 1.0)
    return case


def agreed(right: float) -> dict[str, float]:
    return {str(AGREE): right, "small": right, "tiny": right}


def test_labels_of_the_default_tell_about_its_proposers():
    draws = random.Random(1)
    rows = [agreed(1.0) if draws.random() < 0.7 else {str(AGREE): 1.0, "small": 1.0, "tiny": 0.0} for _ in range(200)]
    beliefs = believe({"plan": case_of(rows)}, BIG)["plan"]
    assert beliefs["small"].gain == pytest.approx(beliefs[str(AGREE)].gain, abs=0.02)
    assert beliefs["tiny"].gain == pytest.approx(beliefs[str(AGREE)].gain - 0.3, abs=0.06)


def test_a_belief_narrows_with_labels():
    few, many = (believe({"plan": case_of([agreed(1.0)] * n)}, BIG)["plan"]["small"] for n in (5, 200))
    assert many.deviation < few.deviation


def test_identities_alike_borrow_from_each_other():
    known = case_of([{str(AGREE): 1.0, "small": 0.0, "tiny": 1.0}] * 200)
    alone = believe({"new": case_of([])}, BIG)["new"]["small"].gain
    beside = believe({"old": known, "new": case_of([])}, BIG)["new"]["small"].gain
    assert beside < alone - 0.3


def test_where_two_models_agree_on_what_is_wrong_the_incumbent_is_believed_better():
    usual, misled = case_of([agreed(1.0)] * 200), case_of([agreed(0.0)] * 40)
    beliefs = believe({"usual": usual, "misled": misled}, BIG)
    assert beliefs["misled"][str(AGREE)].gain < -0.2
    assert beliefs["usual"][str(AGREE)].gain > -0.05


def test_a_price_follows_what_is_announced_and_what_was_paid():
    case = Case("tool_use", named(ARMS))
    for _ in range(100):
        case.record({"small": Scored(1.0, 0.3)}, 1.0)
    assert case.cost_usd("small") == pytest.approx(0.3, rel=0.1)
    dearer = [Arm(plan=arm.plan, cost_usd=2.0 * arm.cost_usd, loss=arm.loss) for arm in ARMS]
    for _ in range(200):
        case.announce(dearer)
    assert case.cost_usd("small") == pytest.approx(0.6, rel=0.1)


def test_a_shift_widens_the_belief_until_new_labels_come():
    case = case_of([agreed(1.0)] * 200)
    before = believe({"plan": case}, BIG)["plan"]["small"].deviation
    case.doubt("small", 0.1, 0.01)
    doubted = believe({"plan": case}, BIG)["plan"]["small"].deviation
    for _ in range(300):
        case.record({name: Scored(score) for name, score in agreed(1.0).items()}, 1.0)
    assert doubted > 1.5 * before
    assert believe({"plan": case}, BIG)["plan"]["small"].deviation < doubted
