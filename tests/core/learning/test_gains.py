"""What is believed of plans: pairs before means, borrowing from the task type and from all work."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.learning import GainTable, Identity, Scored

PLANS = ("big", "small")


def table(rows: list[tuple[str, str, dict[str, float]]], weight: float = 1.0) -> GainTable:
    made = GainTable("big")
    for key, task_type, scores in rows:
        made.record(Identity(key, task_type), {name: Scored(s, 0.1) for name, s in scores.items()}, weight)
    return made


def test_a_pair_counts_by_its_difference_whatever_the_prompt_s_difficulty():
    hard = [("a", "chat", {"big": 0.1, "small": 0.0})] * 50
    easy = [("a", "chat", {"big": 1.0, "small": 0.9})] * 50
    estimate = table(hard + easy).estimates(PLANS)["a"]["small"]
    assert estimate.gain == pytest.approx(-0.1, abs=0.01)
    assert estimate.variance < 0.0005
    assert estimate.labels == 100


def test_labels_of_one_plan_at_a_time_count_as_a_difference_of_means():
    rows = [("a", "chat", {"big": 1.0})] * 40 + [("a", "chat", {"small": 0.5})] * 40
    single = table(rows).estimates(PLANS)["a"]["small"]
    paired = table([("a", "chat", {"big": 1.0, "small": 0.5})] * 40).estimates(PLANS)["a"]["small"]
    assert -0.5 < single.gain < -0.1
    assert single.variance > paired.variance
    assert single.labels < paired.labels


def test_few_labels_borrow_from_identities_of_the_same_task_type():
    rng = random.Random(1)
    rows = []
    for number in range(8):
        task_type = "reasoning" if number % 2 else "chat"
        lost = 0.8 if task_type == "reasoning" else 0.0
        rows += [(f"node {number}", task_type, {"big": 1.0, "small": float(rng.random() >= lost)}) for _ in range(60)]
    rows += [("new maths", "reasoning", {"big": 1.0, "small": 1.0})] * 2
    rows += [("new chat", "chat", {"big": 1.0, "small": 1.0})] * 2
    estimates = table(rows).estimates(PLANS)
    assert estimates["new maths"]["small"].gain < -0.4
    assert estimates["new chat"]["small"].gain > -0.1


def test_the_incumbent_neither_gains_nor_loses():
    estimate = table([("a", "chat", {"big": 0.3, "small": 0.9})] * 9).estimates(PLANS)["a"]["big"]
    assert (estimate.gain, estimate.variance) == (0.0, 0.0)


def test_a_weak_label_weighs_less():
    rows = [("a", "chat", {"big": 1.0, "small": 0.0})] * 10
    strong, weak = (table(rows, weight).estimates(PLANS)["a"]["small"] for weight in (1.0, 0.1))
    assert strong.gain < weak.gain < 0.0
    assert weak.variance > strong.variance


def test_merged_tables_are_one():
    rows = [("a", "chat", {"big": 1.0, "small": 0.5})] * 5 + [("b", "open_qa", {"small": 0.25})] * 4
    whole, part = table(rows), table(rows[:4])
    part.merge(table(rows[4:]))
    assert part.estimates(PLANS) == whole.estimates(PLANS)
    assert part.identities == whole.identities == ("a", "b")
    assert [part.steps(key) for key in part.identities] == [5, 4]
    assert part.task_type("b") == "open_qa"


@pytest.mark.parametrize(
    ("scored", "weight", "said"),
    [
        (Scored(1.5), 1.0, "between 0 and 1"),
        (Scored(float("nan")), 1.0, "between 0 and 1"),
        (Scored(0.5, -1.0), 1.0, "not negative"),
        (Scored(0.5), 0.0, "above 0"),
    ],
)
def test_a_wrong_label_is_refused_and_changes_nothing(scored: Scored, weight: float, said: str):
    made = GainTable("big")
    with pytest.raises(ValueError, match=said):
        made.record(Identity("a", "chat"), {"small": scored}, weight)
    assert made.identities == ()


SCORES = st.dictionaries(st.sampled_from(PLANS), st.floats(0, 1), min_size=1)
ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["chat", "open_qa"]), SCORES), min_size=1, max_size=30
)


@given(ROWS)
def test_beliefs_stay_within_what_can_be(rows: list[tuple[str, str, dict[str, float]]]):
    for of_identity in table(rows).estimates(PLANS).values():
        for estimate in of_identity.values():
            assert -1.0 <= estimate.gain <= 1.0
            assert estimate.variance >= 0.0
