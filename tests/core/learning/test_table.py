"""The outcome table: shrinkage, storage, and what it refuses."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.errors import ConfigurationError
from taskrouter.learning import OutcomeTable
from taskrouter.learning.table import DEFAULT_STRENGTH, MAX_STRENGTH, PRIOR_MEAN

LABELS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["small", "large"]), st.floats(0, 1)), min_size=1, max_size=60
)


def filled(labels: Iterable[tuple[str, str, float]]) -> OutcomeTable:
    table = OutcomeTable()
    for identity, model, score in labels:
        table.record(("*", identity), model, score, cost_usd=0.5)
    return table


def test_a_model_without_labels_is_believed_to_be_at_the_prior():
    estimate = OutcomeTable().estimate(("*", "billing"), "small")
    assert estimate.mean == PRIOR_MEAN
    assert estimate.labels == 0
    assert estimate.cost_usd is None


def test_an_unseen_identity_gets_the_estimate_of_the_level_above_and_less_certainty():
    table = filled([("a", "small", 1.0)] * 50 + [("b", "small", 0.0)] * 50)
    unseen, above = table.estimate(("*", "new"), "small"), table.estimate(("*",), "small")
    assert unseen.mean == pytest.approx(above.mean) == pytest.approx(0.5)
    assert unseen.labels == 0
    assert unseen.variance > above.variance
    assert unseen.cost_usd == 0.5


def test_many_labels_outweigh_the_level_above():
    table = filled([("a", "small", 1.0)] * 5000 + [("b", "small", 0.0)] * 5000)
    assert table.estimate(("*", "a"), "small").mean > 0.999
    assert table.estimate(("*", "b"), "small").mean < 0.001


def test_with_one_identity_the_level_above_is_worth_the_default():
    # By hand: the level above has 3 of 4 and a uniform prior worth 2 labels: (1 + 3) / (2 + 4) = 2/3.
    # The identity has the same 3 of 4 and borrows 20 labels of 2/3: (20 * 2/3 + 3) / (20 + 4).
    table = filled([("a", "small", 1.0)] * 3 + [("a", "small", 0.0)])
    assert table.strength(2) == DEFAULT_STRENGTH
    assert table.estimate(("*",), "small").mean == pytest.approx(2 / 3)
    assert table.estimate(("*", "a"), "small").mean == pytest.approx((20 * 2 / 3 + 3) / 24)


def test_identities_that_do_not_differ_are_pooled():
    same = [(identity, "small", score) for identity in "abc" for score in (1.0, 0.0)] * 20
    assert filled(same).strength(2) == MAX_STRENGTH


def test_the_strength_is_the_variance_of_labels_over_the_variance_between_identities():
    # By hand: means .9 and .1 of 10 labels each; within = (10 * .09 + 10 * .09) / 18 = .1;
    # between = (10 * .16 + 10 * .16 - 1 * .1) / (20 - 200 / 20) = .31.
    scores = [("a", "small", 1.0)] * 9 + [("a", "small", 0.0)] + [("b", "small", 0.0)] * 9 + [("b", "small", 1.0)]
    table = filled([*scores])
    assert table.strength(2) == pytest.approx(max(1.0, 0.1 / 0.31))
    mixed = [("a", "small", 1.0)] * 7 + [("a", "small", 0.0)] * 3 + [("b", "small", 1.0)] * 3
    mixed += [("b", "small", 0.0)] * 7
    # within = (10 * .21 * 2) / 18 = .2333; between = (10 * .04 * 2 - .2333) / 10 = .05667.
    assert filled(mixed).strength(2) == pytest.approx((4.2 / 18) / ((0.8 - 4.2 / 18) / 10))


@given(LABELS, st.sampled_from("abcd"), st.sampled_from(["small", "large"]))
def test_an_estimate_is_a_probability_with_a_variance_that_a_probability_can_have(labels, identity, model):
    estimate = filled(labels).estimate(("*", identity), model)
    assert 0 <= estimate.mean <= 1
    assert 0 <= estimate.variance <= 0.25


@given(LABELS)
def test_an_estimate_lies_between_the_mean_of_its_labels_and_the_level_above(labels):
    table = filled(labels)
    for path in table.paths:
        for model in ("small", "large"):
            own = [score for identity, name, score in labels if (identity, name) == (path[1], model)]
            if own:
                above = table.estimate(("*",), model).mean
                low, high = sorted((sum(own) / len(own), above))
                assert low - 1e-9 <= table.estimate(path, model).mean <= high + 1e-9


def test_more_right_answers_raise_the_estimate_and_more_labels_narrow_it():
    few, many = filled([("a", "small", 1.0)] * 5), filled([("a", "small", 1.0)] * 50)
    assert many.estimate(("*", "a"), "small").mean > few.estimate(("*", "a"), "small").mean
    assert many.estimate(("*", "a"), "small").variance < few.estimate(("*", "a"), "small").variance


def test_three_levels_borrow_from_the_nearest():
    table = OutcomeTable()
    for family, score in (("code", 0.0), ("chat", 1.0)):
        for node in "xyz":
            for _ in range(30):
                table.record(("*", family, f"{family}/{node}"), "small", score)
    assert table.estimate(("*", "code", "code/new"), "small").mean < 0.1
    assert table.estimate(("*", "chat", "chat/new"), "small").mean > 0.9
    assert table.estimate(("*", "new", "new/new"), "small").mean == pytest.approx(0.5)


@given(LABELS)
def test_a_stored_table_says_the_same(labels):
    table = filled(labels)
    again = OutcomeTable.from_dict(json.loads(json.dumps(table.to_dict())))
    for identity in "abcd":
        for model in ("small", "large"):
            assert again.estimate(("*", identity), model) == pytest.approx(table.estimate(("*", identity), model))


@given(LABELS, LABELS)
def test_merged_tables_say_what_one_table_would(first, second):
    merged = filled(first)
    merged.merge(filled(second))
    whole = filled([*first, *second])
    for identity in "abcd":
        for model in ("small", "large"):
            one, other = merged.estimate(("*", identity), model), whole.estimate(("*", identity), model)
            assert one.mean == pytest.approx(other.mean, abs=1e-6)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"schema": 2, "cells": []}, "schema"),
        ({"cells": []}, "schema"),
        ({"schema": 1, "cells": [{"path": [], "model": "m", "labels": 1, "score_sum": 1, "score_squares": 1}]}, "path"),
        (
            {"schema": 1, "cells": [{"path": ["*"], "model": "m", "labels": 0, "score_sum": 0, "score_squares": 0}]},
            "labels",
        ),
    ],
)
def test_a_stored_table_of_another_shape_is_refused_by_name(data, named):
    with pytest.raises(ConfigurationError, match=named):
        OutcomeTable.from_dict(data)


@pytest.mark.parametrize(
    ("path", "score", "cost"), [((), 1.0, 0.0), (("*",), 1.5, 0.0), (("*",), float("nan"), 0.0), (("*",), 1.0, -1.0)]
)
def test_an_impossible_label_is_refused(path, score, cost):
    with pytest.raises(ValueError, match=r"path|score|cost"):
        OutcomeTable().record(path, "small", score, cost)
