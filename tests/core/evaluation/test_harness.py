"""Every figure of an evaluation, worked out by hand on eight prompts and by a plain loop on random ones."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.arms import arms_of
from taskrouter.evaluation.baselines import hull_of, incumbent_of, oracle, singles, uniform
from taskrouter.evaluation.harness import evaluate
from taskrouter.evaluation.learned import Learned
from taskrouter.evaluation.recordings import Prompt, RecordedOutcome, Recording, read_recordings
from taskrouter.evaluation.situations import by_task
from taskrouter.step import Step, StepContext

MODELS = ("big", "mid", "tiny")
POLICIES = ["safe", "balanced", "economy", "learned", "task-table", "knn-text", "default"]


@pytest.fixture
def report(judged_file, learned_file):
    return evaluate(read_recordings([judged_file]), read_recordings([learned_file]))


def test_every_model_alone(report):
    assert [(s.model, s.score, s.cost_usd) for s in report.singles] == [
        ("big", 0.75, pytest.approx(0.010)),  # 6 of 8
        ("mid", 0.6875, pytest.approx(0.002)),  # 5.5 of 8
        ("tiny", 0.625, pytest.approx(0.001)),  # 5 of 8
    ]


def test_the_incumbent_is_the_best_on_the_training_prompts(report):
    # 4, 3 and 2 of 5; its score is that on the test prompts.
    assert (report.incumbent.model, report.incumbent.score) == ("big", 0.75)


def test_the_oracle_takes_the_cheapest_of_the_best_per_prompt(report):
    # mid, big, mid, tiny, tiny, tiny, tiny, tiny
    assert report.oracle.score == 1.0
    assert report.oracle.cost_usd == pytest.approx((0.002 + 0.010 + 0.002 + 5 * 0.001) / 8)


def test_random_is_the_mean_of_the_models(report):
    assert report.random.score == pytest.approx(0.6875)
    assert report.random.cost_usd == pytest.approx(0.013 / 3)


def test_the_hull_goes_from_the_cheapest_to_the_best(report):
    # 62.5 points per dollar from tiny to mid, then 7.8: falling, so mid stays.
    assert [single.model for single in report.hull] == ["tiny", "mid", "big"]


def test_the_task_table(report):
    # code stays with big (3 of 3 against 1 and 0), chat goes to tiny (2 of 2 against 1 of 2; mid as good but dearer).
    table = report.policy("task-table")
    assert table.plans == {"big": 0.5, "tiny": 0.5}
    assert table.score == pytest.approx(7 / 8)
    assert table.cost_usd == pytest.approx((4 * 0.010 + 4 * 0.001) / 8)
    assert table.delta_points == pytest.approx(12.5)
    assert table.saving == pytest.approx(0.45)
    assert table.calls_per_prompt == 1.0
    assert table.latency_p50_s == pytest.approx(1.25)
    assert table.latency_p95_s == pytest.approx(2.0)


def test_five_labels_prove_nothing_so_learned_stays_with_the_incumbent(report):
    learned = report.policy("learned")
    assert learned.plans == {"big": 1.0}
    assert (learned.delta_points, learned.saving) == (0.0, 0.0)
    assert learned.delta_ci == (0.0, 0.0)


def test_default_is_the_default_policy_by_another_name(report):
    default, safe = report.policy("default"), report.policy("safe")
    assert (default.score, default.cost_usd, default.delta_ci) == (safe.score, safe.cost_usd, safe.delta_ci)


def test_the_document_has_the_keys_of_the_contract(report):
    document = json.loads(json.dumps(report.to_dict()))
    assert document["prompts"] == 8
    assert document["models"] == ["big", "mid", "tiny"]
    assert set(document["incumbent"]) == {"model", "score", "cost_usd"}
    assert all(set(single) == {"model", "score", "cost_usd"} for single in document["singles"] + document["hull"])
    assert set(document["oracle"]) == set(document["random"]) == {"score", "cost_usd"}
    assert [policy["name"] for policy in document["policies"]] == POLICIES
    wanted = {"name", "score", "cost_usd", "delta_points", "delta_ci", "saving", "saving_ci", "calls_per_prompt"}
    wanted |= {"latency_p50_s", "latency_p95_s"}
    assert all(wanted <= set(policy) for policy in document["policies"])
    assert all(len(policy["delta_ci"]) == len(policy["saving_ci"]) == 2 for policy in document["policies"])
    assert (document["leak"], document["overlap"]) == (False, 0)


def test_a_named_incumbent_is_used_and_an_unknown_one_refused(judged_file, learned_file):
    test, train = read_recordings([judged_file]), read_recordings([learned_file])
    assert evaluate(test, train, incumbent="mid").incumbent.model == "mid"
    with pytest.raises(ConfigurationError, match="'huge' is not in the recordings; the models are big, mid, tiny"):
        evaluate(test, train, incumbent="huge")


def test_training_on_the_test_prompts_works_and_is_said(judged_file):
    recording = read_recordings([judged_file])
    report = evaluate(recording, recording)
    assert report.leak
    assert report.overlap == 8


def test_of_equally_good_models_the_cheaper_is_the_incumbent(make_line, write_recording):
    recording = read_recordings([write_recording([make_line("1", "code", "x", 1, 1, 0)])])
    assert incumbent_of(recording, None) == "mid"


def test_models_missing_on_one_side_are_left_out(judged_file, make_line, write_recording):
    row = make_line("z", "code", "x", 1, 1, 1)
    del row["outcomes"]["mid"]
    report = evaluate(read_recordings([judged_file]), read_recordings([write_recording([row])]))
    assert report.models == ("big", "tiny")
    assert report.dropped_models == ("mid",)
    row["outcomes"] = {"other": row["outcomes"]["big"]}
    with pytest.raises(ConfigurationError, match="record one model for both"):
        evaluate(read_recordings([judged_file]), read_recordings([write_recording([row], "b.jsonl")]))


def test_without_latencies_and_prices_the_figures_are_unknown_not_zero(make_line, write_recording):
    rows = [make_line(str(i), "code", f"prompt {i}", 1, 1, 0) for i in range(4)]
    for row in rows:
        for outcome in row["outcomes"].values():
            outcome["cost_usd"] = 0.0
            del outcome["latency_s"]
    recording = read_recordings([write_recording(rows)])
    policy = evaluate(recording, recording).policy("task-table")
    assert (policy.saving, policy.saving_ci, policy.latency_p50_s, policy.latency_p95_s) == (None, None, None, None)


def test_the_task_table_is_chosen_jointly_so_a_gain_on_one_task_pays_for_a_loss_on_another(make_line, write_recording):
    scores = {"code": {"big": 0.5, "tiny": 1.0}, "chat": {"big": 1.0, "tiny": 0.75}}
    rows = []
    for task, by_model in scores.items():
        for number in range(4):
            row = make_line(f"{task}{number}", task, f"{task} prompt {number}", 0, 0, 0)
            for model, share in by_model.items():
                row["outcomes"][model]["score"] = float(number < 4 * share)
            rows.append(row)
    recording = read_recordings([write_recording(rows)])
    policy = evaluate(recording, recording, incumbent="big").policy("task-table")
    assert policy.plans == {"tiny": 1.0}  # better by 0.5 on one half of the work, worse by 0.25 on the other


def recorded(rng: random.Random, prompts: int, *, answers: bool = False) -> Recording:
    """Random prompts of three tasks, of which `chat` is easy for every model."""
    made = []
    for number in range(prompts):
        task = rng.choice(("code", "chat", "math"))
        outcomes = {}
        for model, strength in zip(MODELS, (0.9, 0.6, 0.4), strict=True):
            right = 1.0 if task == "chat" else float(rng.random() < strength)
            outcomes[model] = RecordedOutcome(
                score=right,
                cost_usd={"big": 0.01, "mid": 0.002, "tiny": 0.001}[model] * rng.uniform(0.5, 2),
                answer=("right" if right else f"wrong {model}") if answers else None,
            )
        step = Step(messages=[{"role": "user", "content": f"{task} {number}"}], context=StepContext(node=task))
        made.append(Prompt(id=str(number), step=step, outcomes=outcomes))
    return Recording.of(made)


@given(st.integers(0, 10**6))
def test_the_baselines_are_those_of_a_plain_loop(seed):
    recording = recorded(random.Random(seed), 30)
    rows = [{m: (p.outcomes[m].score, p.outcomes[m].cost_usd) for m in MODELS} for p in recording.prompts]
    alone = {single.model: single for single in singles(recording)}
    for model in MODELS:
        assert alone[model].score == pytest.approx(sum(row[model][0] for row in rows) / 30)
        assert alone[model].cost_usd == pytest.approx(sum(row[model][1] for row in rows) / 30)
    score = cost = 0.0
    for row in rows:
        best = max(value for value, _ in row.values())
        score += best
        cost += min(price for value, price in row.values() if value == best)
    found = oracle(recording)
    assert (found.score, found.cost_usd) == pytest.approx((score / 30, cost / 30))
    mean = uniform(list(alone.values()))
    assert mean.score == pytest.approx(sum(value for row in rows for value, _ in row.values()) / 90)
    for single in alone.values():  # no model lies above the hull
        for left, right in zip(hull_of(list(alone.values())), hull_of(list(alone.values()))[1:], strict=False):
            if left.cost_usd <= single.cost_usd <= right.cost_usd:
                share = (single.cost_usd - left.cost_usd) / (right.cost_usd - left.cost_usd)
                assert single.score <= left.score + share * (right.score - left.score) + 1e-9


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_no_policy_beats_the_oracle_and_figures_fit_together(seed, answers):
    rng = random.Random(seed)
    report = evaluate(recorded(rng, 40, answers=answers), recorded(rng, 60, answers=answers), seed=seed)
    for policy in report.policies:
        assert policy.score <= report.oracle.score + 1e-9
        assert policy.delta_points == pytest.approx(100 * (policy.score - report.incumbent.score))
        assert policy.saving == pytest.approx(1 - policy.cost_usd / report.incumbent.cost_usd)
        assert policy.delta_ci[0] - 1e-9 <= policy.delta_points <= policy.delta_ci[1] + 1e-9
        assert sum(policy.plans.values()) == pytest.approx(1.0)
        assert 1 <= policy.calls_per_prompt <= 3


def test_a_recording_of_one_model_leaves_nothing_to_choose():
    recording = recorded(random.Random(0), 20)
    one = Recording(prompts=recording.prompts, models=("mid",))
    for policy in evaluate(one, one).policies:
        assert (policy.delta_points, policy.saving, policy.delta_ci) == (0.0, 0.0, (0.0, 0.0))


def scaled(recording: Recording, factor: float) -> Recording:
    return Recording.of(
        [
            Prompt(
                id=p.id,
                step=p.step,
                outcomes={
                    m: RecordedOutcome(score=o.score, cost_usd=o.cost_usd * factor) for m, o in p.outcomes.items()
                },
            )
            for p in recording.prompts
        ]
    )


def test_savings_do_not_depend_on_the_currency():
    rng = random.Random(3)
    test, train = recorded(rng, 80), recorded(rng, 400)
    dollars, quarters = evaluate(test, train), evaluate(scaled(test, 4.0), scaled(train, 4.0))
    for name in ("learned", "task-table", "knn-text"):
        assert quarters.policy(name).saving == pytest.approx(dollars.policy(name).saving)
        assert quarters.policy(name).saving_ci == pytest.approx(dollars.policy(name).saving_ci)
        assert quarters.policy(name).plans == dollars.policy(name).plans


def test_learned_finds_the_easy_task_and_does_not_look_at_test_labels():
    rng = random.Random(11)
    train, test = recorded(rng, 900), recorded(rng, 60)
    turned = Recording.of(
        [
            Prompt(
                id=p.id,
                step=p.step,
                outcomes={m: RecordedOutcome(score=1 - o.score, cost_usd=o.cost_usd) for m, o in p.outcomes.items()},
            )
            for p in test.prompts
        ]
    )
    honest, blind = evaluate(test, train), evaluate(turned, train)
    for name in ("safe", "balanced", "economy", "learned", "task-table", "knn-text"):
        assert honest.policy(name).plans == blind.policy(name).plans
    learned = Learned.fit(train, by_task(train), "big")
    assert learned.policy is not None
    assert [str(branch.plan) for branch in learned.policy.branches["chat"]] == ["tiny"]
    assert (honest.policy("learned").saving or 0.0) > 0.1
    assert honest.policy("learned").delta_points > -10


def test_learned_leaves_unseen_identities_to_the_incumbent():
    rng = random.Random(12)
    train = recorded(rng, 600)
    learned = Learned.fit(train, by_task(train), "big")
    unseen = by_task(train)[0]._replace(identity="never seen")
    assert learned.policy is not None
    assert [str(plan) for plan in learned.plans([unseen, unseen._replace(identity=None)])] == ["big", "big"]


def test_learned_may_let_two_cheap_models_agree_where_answers_were_recorded():
    rng = random.Random(13)
    with_answers, without = recorded(rng, 400, answers=True), recorded(rng, 50)
    assert [str(plan) for plan in arms_of(with_answers, "big")][3:] == ["agree(mid, tiny, big)"]
    assert len(arms_of(without, "big")) == 3
    train = recorded(rng, 900, answers=True)
    learned = Learned.fit(train, by_task(train), "big")
    assert learned.policy is not None
    kinds = {branch.plan.kind for branches in learned.policy.branches.values() for branch in branches}
    assert "agree" in kinds  # a wrong answer never agrees here, so agreement costs nothing in quality


def test_without_step_identity_the_task_is_nowhere_to_be_seen():
    rng = random.Random(14)
    test, train = recorded(rng, 60), recorded(rng, 300)
    renamed = Recording.of(
        [
            Prompt(id=p.id, step=Step(messages=p.step.messages, context=StepContext(node="other")), outcomes=p.outcomes)
            for p in test.prompts
        ]
    )
    seen, unseen = (evaluate(part, train, step_identity=False) for part in (test, renamed))
    assert [policy.plans for policy in seen.policies] == [policy.plans for policy in unseen.policies]
    assert evaluate(renamed, train).policy("task-table").plans == {"big": 1.0}


def test_texts_without_words_leave_knn_with_the_incumbent(make_line, write_recording):
    rows = [make_line(str(i), "code", "?!", 1, 1, 1) for i in range(4)]
    recording = read_recordings([write_recording(rows)])
    assert evaluate(recording, recording, incumbent="big").policy("knn-text").plans == {"big": 1.0}
