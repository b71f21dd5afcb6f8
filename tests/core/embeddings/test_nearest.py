"""Probabilities come from the nearest examples, and what is like none of them is not told."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.embeddings.nearest import Nearest
from taskrouter.embeddings.vectors import unit

RNG = np.random.default_rng(7)


def clusters(*, spread: float, size: int = 12) -> tuple[np.ndarray, list[str]]:
    centres = {"a": [1.0, 0, 0, 0], "b": [0, 1.0, 0, 0], "c": [0, 0, 1.0, 0]}
    rows = [np.array(centre) + spread * RNG.normal(size=4) for centre in centres.values() for _ in range(size)]
    return unit(rows), [label for label in centres for _ in range(size)]


def test_a_text_amid_examples_of_one_label_gets_it():
    nearest = Nearest(*clusters(spread=0.1), neighbours=3)
    told = nearest.tell(unit([[0.0, 1.0, 0.05, 0.0]])[0])
    assert told[0][0] == "b"
    assert told[0][1] > 0.9


def test_a_text_that_is_like_nothing_is_not_told():
    nearest = Nearest(*clusters(spread=0.1), neighbours=3)
    assert nearest.tell(unit([[0.0, 0.0, 0.0, -1.0]])[0]) == ()


def test_where_labels_run_into_each_other_nothing_is_sure():
    clear, muddled = (Nearest(*clusters(spread=s), neighbours=3) for s in (0.05, 2.0))
    between = unit([[1.0, 0.8, 0.0, 0.0]])[0]
    assert dict(muddled.tell(between) or [("a", 0.0)])["a"] < 0.8
    assert clear.softness < muddled.softness


def test_probabilities_of_left_out_examples_are_as_often_right_as_they_say():
    vectors, labels = clusters(spread=0.6, size=200)
    nearest = Nearest(vectors[::2], labels[::2], neighbours=4)
    told = [(nearest.tell(vector), label) for vector, label in zip(vectors[1::2], labels[1::2], strict=True)]
    said = [(told_label[0][1], told_label[0][0] == label) for told_label, label in told if told_label]
    assert abs(sum(p for p, _ in said) / len(said) - sum(ok for _, ok in said) / len(said)) < 0.08


def test_a_label_with_one_example_does_no_harm():
    vectors, labels = clusters(spread=0.1)
    nearest = Nearest(np.vstack([vectors, unit([[0.0, 0.0, 0.0, 1.0]])]), [*labels, "d"], neighbours=3)
    assert nearest.tell(unit([[0.0, 0.0, 0.1, 1.0]])[0])[0][0] == "d"


@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=4, max_size=12), st.integers(1, 5))
def test_what_is_told_is_a_distribution_best_first(rows, neighbours):
    labels = ["a", "b"] * len(rows)
    nearest = Nearest(unit(rows), labels[: len(rows)], neighbours=neighbours)
    for vector in unit(rows):
        told = nearest.tell(vector)
        shares = [share for _, share in told]
        assert shares == sorted(shares, reverse=True)
        assert not told or math.isclose(sum(shares), 1.0)


@pytest.mark.parametrize("bad", [[], [[]], [[float("nan")]], [[float("inf"), 1.0]], [1.0, 2.0]])
def test_what_is_no_table_of_numbers_is_refused(bad):
    with pytest.raises(ValueError, match="no table of finite numbers"):
        unit(bad)
