"""The paired bootstrap, against formulas and against itself."""

import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrouter.evaluation.intervals import Run, compare

SCORES = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1)), min_size=2, max_size=40
)


def test_the_interval_of_a_difference_is_that_of_the_normal_approximation():
    rng = random.Random(5)
    base = [float(rng.random() < 0.7) for _ in range(600)]
    other = [float(rng.random() < 0.8) for _ in base]
    differences = [b - a for a, b in zip(base, other, strict=True)]
    mean, error = statistics.mean(differences), statistics.stdev(differences) / len(base) ** 0.5
    (found,) = compare([Run(other, [1.0] * 600)], Run(base, [1.0] * 600), seed=1, resamples=8000)
    assert found.delta_points[0] == pytest.approx(100 * (mean - 1.96 * error), abs=0.25)
    assert found.delta_points[1] == pytest.approx(100 * (mean + 1.96 * error), abs=0.25)


def test_the_interval_of_a_saving_is_that_of_the_delta_method():
    rng = random.Random(6)
    base = [rng.uniform(1, 3) for _ in range(600)]
    other = [cost * rng.uniform(0.1, 0.5) for cost in base]
    ratio = sum(other) / sum(base)
    error = statistics.stdev(o - ratio * b for o, b in zip(other, base, strict=True)) / 600**0.5 / statistics.mean(base)
    (found,) = compare([Run([1.0] * 600, other)], Run([1.0] * 600, base), seed=1, resamples=8000)
    assert found.saving == pytest.approx((1 - ratio - 1.96 * error, 1 - ratio + 1.96 * error), abs=0.002)


@settings(max_examples=25)
@given(SCORES)
def test_a_run_does_not_differ_from_itself_and_intervals_hold_what_was_measured(rows):
    base = Run([row[0] for row in rows], [row[2] for row in rows])
    other = Run([row[1] for row in rows], [row[3] for row in rows])
    same, found = compare([base, other], base, seed=0)
    assert same.delta_points == (0.0, 0.0)
    assert same.saving == pytest.approx((0.0, 0.0), abs=1e-12)
    differences = [100 * (row[1] - row[0]) for row in rows]
    assert min(differences) - 1e-9 <= found.delta_points[0] <= found.delta_points[1] <= max(differences) + 1e-9
    assert found.saving is not None
    assert found.saving[0] <= found.saving[1] <= 1


def test_a_seed_repeats_the_interval_and_blocks_do_not_change_its_meaning(monkeypatch):
    rng = random.Random(7)
    base, other = ([rng.random() for _ in range(50)] for _ in range(2))
    runs = [Run(other, [1.0] * 50)], Run(base, [2.0] * 50)
    assert compare(*runs, seed=4) == compare(*runs, seed=4)
    whole = compare(*runs, seed=4)[0].delta_points
    monkeypatch.setattr("taskrouter.evaluation.intervals.BLOCK_CELLS", 1000)
    assert compare(*runs, seed=4)[0].delta_points == pytest.approx(whole)


def test_an_incumbent_that_costs_nothing_leaves_the_saving_unknown():
    (found,) = compare([Run([1.0, 0.0], [1.0, 1.0])], Run([1.0, 1.0], [0.0, 0.0]), seed=0)
    assert found.saving is None
