"""The peers do what they are named for, and their knobs are turned on what their fits have not seen."""

import numpy as np
import pytest
from benchmarks.quality.bandits import COST_WEIGHT, Exp3, Thompson, all_models, five_arms
from benchmarks.quality.data import random_trial
from benchmarks.quality.peers import cluster, factorisation, knn, logistic, tables
from benchmarks.quality.peers.tuning import MAX_LOSS, cheapest_within, folds, tuned
from benchmarks.quality.plugs import Pool

from taskrouter.decision import Plan
from taskrouter.evaluation.knn import KnnText
from taskrouter.evaluation.replay import Served
from taskrouter.evaluation.situations import Situation, by_task
from taskrouter.step import Step


@pytest.fixture(scope="module")
def trial(grid):
    return random_trial(grid, 0)


def test_knn_as_columns_chooses_as_the_policy_of_evaluate_does(trial):
    policy = KnnText.fit(trial.train_part, by_task(trial.train_part), trial.incumbent_name)
    theirs = trial.serve(policy.plans(by_task(trial.test_part)))
    ours = knn.results(trial)["knn-text"]
    assert np.array_equal(ours.scores, theirs.scores)
    assert ours.costs_usd == pytest.approx(theirs.costs_usd)


@pytest.mark.parametrize("peer", [knn, logistic, cluster, factorisation, tables])
def test_every_peer_answers_every_test_prompt(trial, peer):
    for name, result in peer.results(trial).items():
        assert len(result.scores) == len(result.costs_usd) == len(trial.test), name
        assert (result.costs_usd > 0).all()
        assert np.array_equal(result.calls, np.ones(len(trial.test)))


@pytest.mark.parametrize("fit_predict", [logistic.fit_predict, factorisation.fit_predict])
def test_predictions_follow_the_text(trial, fit_predict):
    scores, tiny = trial.grid.scores[trial.train], trial.grid.models.index("tiny")
    if fit_predict is logistic.fit_predict:
        predicted = fit_predict(trial.text.train, scores, trial.text.test)
    else:
        predicted = fit_predict(trial.text.dense_train, scores, trial.text.dense_test, 0)
    chat = trial.grid.tasks[trial.test] == "chat"
    assert ((predicted > 0) & (predicted < 1)).all()
    assert predicted[chat, tiny].mean() > predicted[~chat, tiny].mean() + 0.2


def test_folds_leave_every_training_prompt_out_once(trial):
    left_out = np.concatenate([out for _, out in folds(trial)])
    assert sorted(left_out) == list(range(len(trial.train)))
    assert all(not set(fit) & set(out) for fit, out in folds(trial))


def test_the_cheapest_setting_within_the_loss_is_taken_and_none_where_all_lose_more(trial):
    columns = [np.full(len(trial.train), m) for m in range(len(trial.grid.models))]
    big, tiny = trial.grid.models.index("big"), trial.grid.models.index("tiny")
    assert tuned(trial, [columns[big], columns[tiny]]) == 0
    assert tuned(trial, [columns[tiny]]) is None
    assert tuned(trial, [columns[big], columns[tiny]], max_loss=1.0) == 1


def test_of_equally_cheap_models_the_better_predicted_one_is_taken(trial):
    predicted = np.array([[0.5, 0.6, 0.7]])
    assert cheapest_within(trial, predicted, np.array([1.0, 1.0, 1.0]), 0.5).tolist() == [2]


def test_a_coin_loses_what_it_may_on_the_training_prompts(grid):
    trial = random_trial(grid, 1)
    trial = type(trial)(grid, trial.train, trial.train, 1, trial.incumbent)
    result = tables.coin(trial, MAX_LOSS)
    assert trial.base.scores.mean() - result.scores.mean() == pytest.approx(MAX_LOSS)
    assert result.costs_usd.mean() < trial.base.costs_usd.mean()


def test_the_joint_table_is_never_dearer_than_the_incumbent(trial):
    groups = trial.grid.tasks[trial.train]
    choices = tables.joint_choices(trial, groups, 0.0)
    picked = np.array([choices.get(group, trial.incumbent) for group in groups])
    costs = trial.grid.costs_usd[trial.train]
    assert costs[np.arange(len(picked)), picked].sum() <= costs[:, trial.incumbent].sum()


@pytest.mark.parametrize("learner", [Thompson, Exp3])
def test_learners_find_the_arm_that_pays(learner):
    pool = Pool(("big", "tiny"), "big", {"big": 1.0, "tiny": 0.1})
    found = learner(pool, all_models(pool), 0)
    situation = Situation(Step(messages=[{"role": "user", "content": "x"}]), "chat")
    counts = {"big": 0, "tiny": 0}
    for _ in range(2000):
        choice = found.choose(situation)
        model = choice.plan.models[0]
        counts[model] += 1
        found.observe(situation, choice, Served(1.0 if model == "tiny" else 0.2, pool.usd_per_call[model], 1, None), {})
    assert counts["tiny"] > 3 * counts["big"]
    assert 0 < COST_WEIGHT < 1


def test_the_five_arms_follow_from_prices():
    pool = Pool(("big", "mid", "tiny"), "big", {"big": 1.0, "mid": 0.2, "tiny": 0.1})
    assert [str(plan) for plan in five_arms(pool)] == [
        "big",
        "tiny",
        "mid",
        "agree(tiny, mid, big)",
        "agree(mid, tiny, big)",
    ]
    assert all_models(pool)[0] == Plan(models=("big",))
