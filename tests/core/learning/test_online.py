"""The learner that serves while it learns: shares, gate, budget, repetition, drift, and what is stored."""

import json
import logging
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrouter.decision import NO_LOSS, Loss, Plan
from taskrouter.errors import ConfigurationError
from taskrouter.learning import Identity, Labelled, Scored
from taskrouter.learning.beliefs import believe
from taskrouter.learning.cases import Arm, Case, named
from taskrouter.learning.exploration import POINT, ExplorationBudget
from taskrouter.learning.mixing import GATE, exploit, passes
from taskrouter.learning.online import MISSED, MOST_ARMS, OnlineLearner

BIG = "big"
AGREE = Plan(kind="agree", models=("small", "tiny", BIG))
WIDE = Loss(0.05, -0.15, 0.25, "cards")


def single(model: str, cost_usd: float, loss: Loss = WIDE) -> Arm:
    return Arm(plan=Plan(models=(model,)), cost_usd=cost_usd, loss=loss)


ARMS = (
    Arm(plan=AGREE, cost_usd=0.5, loss=Loss(0.0, -0.02, 0.02, "measured")),
    single(BIG, 1.0, NO_LOSS),
    single("small", 0.1),
    single("tiny", 0.05),
    single("middle", 0.3),
)
IDENTITIES = [Identity(key, "tool_use") for key in ("plan", "call", "check")]


class World:
    """How often each plan is right; a proposer alone is right when a draw for the step lies low enough."""

    def __init__(self, seed: int, right: dict[str, float]) -> None:
        self.draws = random.Random(seed)
        self.right = right

    def row(self, identity: Identity, plan: Plan) -> Labelled:
        draw = self.draws.random()
        scores = {str(plan): Scored(float(draw < self.right[str(plan)]), 0.4 if plan == AGREE else 0.1)}
        if plan == AGREE:
            scores |= {model: Scored(float(draw < self.right[model]), 0.05) for model in ("small", "tiny")}
        return Labelled(identity=identity, scores=scores)

    def serve(self, learner: OnlineLearner, steps: int, identities: list[Identity] = IDENTITIES) -> list[str]:
        chosen = []
        for step in range(steps):
            identity = identities[step % len(identities)]
            plan = learner.choose(identity, ARMS).plan
            learner.charge(identity, plan)
            learner.observe(self.row(identity, plan))
            chosen.append(str(plan))
        return chosen


GOOD = {str(AGREE): 0.9, BIG: 0.9, "small": 0.9, "tiny": 0.5, "middle": 0.7}
BAD = GOOD | {"small": 0.5}

rights = st.fixed_dictionaries({name: st.floats(0.0, 1.0) for name in GOOD})


def test_without_labels_every_step_takes_the_default():
    learner = OnlineLearner(BIG, seed=1)
    assert [(branch.plan, branch.share) for branch in learner.branches(IDENTITIES[0], ARMS)] == [(AGREE, 1.0)]


def test_steps_move_to_a_cheap_model_that_loses_nothing():
    learner = OnlineLearner(BIG, seed=1)
    chosen = World(1, GOOD).serve(learner, 1500)
    assert chosen[-300:].count("small") > 200


def test_steps_stay_with_the_default_where_cheap_models_lose():
    learner = OnlineLearner(BIG, seed=1)
    chosen = World(1, BAD).serve(learner, 1500)
    assert chosen[-300:].count(str(AGREE)) + chosen[-300:].count(BIG) > 280


@settings(max_examples=25, deadline=None)
@given(right=rights, seed=st.integers(0, 1000))
def test_shares_sum_to_one_and_name_only_what_is_offered(right: dict[str, float], seed: int):
    learner = OnlineLearner(BIG, seed=seed)
    World(seed, right).serve(learner, 200)
    for identity in IDENTITIES:
        branches = learner.branches(identity, ARMS)
        assert sum(branch.share for branch in branches) == pytest.approx(1.0)
        assert {branch.plan for branch in branches} <= {arm.plan for arm in ARMS}
        assert all(0.0 < branch.share <= 1.0 for branch in branches)
        assert any(branch.plan == AGREE for branch in branches)


@settings(max_examples=25, deadline=None)
@given(right=rights, seed=st.integers(0, 1000))
def test_no_plan_beyond_the_gate_is_exploited(right: dict[str, float], seed: int):
    world = World(seed, right)
    cases = {identity.key: Case(identity.task_type, named(ARMS)) for identity in IDENTITIES}
    for step in range(300):
        identity = IDENTITIES[step % 3]
        cases[identity.key].record(world.row(identity, ARMS[step % 5].plan if step % 2 else AGREE).scores, 1.0)
    beliefs = believe(cases, BIG)
    for key, shares in exploit(cases, beliefs, BIG, 0.5).items():
        for name in shares:
            if name not in (BIG, str(AGREE)):
                assert passes(beliefs[key][name])
                assert beliefs[key][name].gain - beliefs[key][name].deviation >= -GATE


@settings(max_examples=25, deadline=None)
@given(right=rights, seed=st.integers(0, 1000), points=st.floats(0.0, 0.5), usd=st.floats(0.0, 1.0))
def test_the_budget_is_never_exceeded(right: dict[str, float], seed: int, points: float, usd: float):
    learner = OnlineLearner(BIG, seed=seed, budget=ExplorationBudget(points=points, usd=usd))
    world, spent = World(seed, right), learner.budget_spent
    for step in range(300):
        world.serve(learner, 1, [IDENTITIES[step % 3]])
        assert spent.loss <= points * POINT * spent.steps + 1e-12
        assert spent.usd <= usd + 1e-12


def test_without_a_budget_nothing_is_explored():
    learner = OnlineLearner(BIG, seed=3, budget=ExplorationBudget(points=0.0, usd=0.0))
    World(3, BAD).serve(learner, 500)
    assert learner.budget_spent.loss == 0.0
    assert learner.budget_spent.usd == 0.0


@pytest.mark.parametrize("amounts", [{"points": -0.1}, {"usd": float("nan")}])
def test_a_budget_is_not_negative(amounts: dict[str, float]):
    with pytest.raises(ValueError, match="exploration budget"):
        ExplorationBudget(**amounts)


def test_the_same_seed_gives_the_same_decisions():
    one, other = (World(5, GOOD).serve(OnlineLearner(BIG, seed=7), 600) for _ in range(2))
    assert one == other


def test_what_is_not_offered_gets_no_share():
    learner = OnlineLearner(BIG, seed=1)
    World(1, GOOD).serve(learner, 1500)
    left = [arm for arm in ARMS if "small" not in arm.plan.models]
    branches = learner.branches(IDENTITIES[0], left)
    assert sum(branch.share for branch in branches) == pytest.approx(1.0)
    assert {branch.plan for branch in branches} <= {arm.plan for arm in left}
    assert branches[0].plan == left[0].plan


def test_without_the_incumbent_among_the_arms_the_default_keeps_all_steps():
    learner = OnlineLearner(BIG, seed=1)
    arms = [ARMS[2], ARMS[3]]
    learner.branches(IDENTITIES[0], arms)
    learner.observe(Labelled(identity=IDENTITIES[0], scores={"small": Scored(0.0)}))
    assert [branch.share for branch in learner.branches(IDENTITIES[0], arms)] == [1.0]


def test_a_comparison_that_is_offered_later_becomes_the_default():
    learner = OnlineLearner(BIG, seed=1)
    others = [single(f"model-{n}", 0.1) for n in range(MOST_ARMS)]
    learner.branches(IDENTITIES[0], [ARMS[1], *others])
    learner.branches(IDENTITIES[0], ARMS)
    assert [branch.plan for branch in learner.branches(IDENTITIES[0], ARMS)] == [AGREE]


def test_another_comparison_becomes_the_default_only_after_a_long_outage():
    learner = OnlineLearner(BIG, seed=1)
    learner.branches(IDENTITIES[0], ARMS)
    other = Arm(plan=Plan(kind="agree", models=("middle", "tiny", BIG)), cost_usd=0.6, loss=ARMS[0].loss)
    arms = [other, *ARMS[1:]]
    for _ in range(MISSED - 1):
        learner.branches(IDENTITIES[0], arms)
    assert learner.to_dict()["cases"]["plan"]["default"] == str(AGREE)
    learner.branches(IDENTITIES[0], arms)
    assert learner.to_dict()["cases"]["plan"]["default"] == str(other.plan)


def test_what_was_stored_goes_on_with_the_same_mixtures():
    learner = OnlineLearner(BIG, seed=1, budget=ExplorationBudget(points=0.1, usd=float("inf")))
    World(1, GOOD).serve(learner, 1500)
    stored = json.loads(json.dumps(learner.to_dict()))
    restored = OnlineLearner.from_dict(stored)
    again = restored.to_dict()
    assert again == stored
    restored.observe(Labelled(identity=IDENTITIES[0], scores={str(AGREE): Scored(1.0)}))
    shares = {str(b.plan): b.share for b in restored.branches(IDENTITIES[0], ARMS)}
    assert shares["small"] > 0.5


def test_another_schema_is_refused_with_its_place():
    stored = OnlineLearner(BIG, seed=1).to_dict() | {"schema": 99}
    with pytest.raises(ConfigurationError, match="schema"):
        OnlineLearner.from_dict(stored)


def test_labels_may_come_from_many_threads():
    learner = OnlineLearner(BIG, seed=1)

    def work(seed: int) -> None:
        World(seed, GOOD).serve(learner, 200)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert learner.budget_spent.steps == 800
    assert sum(case["steps"] for case in learner.to_dict()["cases"].values()) == 800


def test_a_model_that_gets_worse_loses_its_steps(caplog: pytest.LogCaptureFixture):
    learner, world = OnlineLearner(BIG, seed=1), World(1, dict(GOOD))
    world.serve(learner, 1500)
    world.right |= {"small": 0.3}
    with caplog.at_level(logging.WARNING, "taskrouter.learning"):
        chosen = world.serve(learner, 1500)
    assert any(shift.quantity == "quality" and shift.plan == "small" for shift in learner.events)
    assert "quality of small" in caplog.text
    assert chosen[-300:].count("small") < 60


def test_a_dearer_answer_and_a_slower_one_are_told():
    learner = OnlineLearner(BIG, seed=1)
    identity, plan = IDENTITIES[0], ARMS[2].plan
    learner.branches(identity, ARMS)
    draws = random.Random(2)
    for factor in (1.0, 3.0):
        for _ in range(200):
            learner.charge(identity, plan, cost_usd=factor * draws.uniform(0.9, 1.1), latency_s=factor * 2.0)
    assert {shift.quantity for shift in learner.events} == {"cost", "latency"}
    assert all(shift.lately > 2.0 * shift.before for shift in learner.events)
