"""Bounds on a mean: exact where scores are 0 or 1, valid whatever they are, and never too narrow."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrouter.learning.bounds import at_most, betting_bound, binomial_bound, needed_n, tolerated

SHARES = st.floats(0.001, 0.999)


def exactly(k: int, n: int, rate: float) -> float:
    return math.comb(n, k) * rate**k * (1 - rate) ** (n - k)


@pytest.mark.parametrize(
    ("harmed", "n", "confidence", "bound"),
    [  # quantiles of the beta distribution, by another implementation
        (0, 10, 0.95, 0.2588655508930522),
        (1, 10, 0.95, 0.39416330243650466),
        (5, 20, 0.95, 0.4555824040017489),
        (3, 450, 0.9, 0.014785549745756394),
        (47, 600, 0.99, 0.10757785639050962),
        (9, 10, 0.9, 0.9895192582062144),
        (10, 10, 0.9, 1.0),
        (0, 0, 0.9, 1.0),
    ],
)
def test_the_binomial_bound_is_that_of_clopper_and_pearson(harmed, n, confidence, bound):
    assert binomial_bound(harmed, n, confidence) == pytest.approx(bound, rel=1e-9)


@given(st.integers(1, 60), st.integers(0, 60), SHARES)
def test_a_binomial_tail_is_the_sum_of_its_terms(n, harmed, rate):
    harmed = min(harmed, n)
    assert at_most(harmed, n, rate) == pytest.approx(sum(exactly(k, n, rate) for k in range(harmed + 1)), abs=1e-9)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_binomial_tail_knows_what_is_certain(rate):
    assert at_most(3, 10, rate) == 1.0 - rate
    assert at_most(10, 10, rate) == 1.0


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
@settings(max_examples=20)
def test_the_binomial_bound_covers_the_truth_as_often_as_it_promises(n, rate, confidence):
    missed = sum(exactly(k, n, rate) for k in range(n + 1) if binomial_bound(k, n, confidence) < rate - 1e-9)
    assert missed <= 1 - confidence + 1e-9


@given(st.integers(1, 400), st.integers(0, 400), SHARES)
def test_more_harm_and_more_confidence_never_narrow_a_bound(n, harmed, confidence):
    harmed = min(harmed, n)
    bound = binomial_bound(harmed, n, confidence)
    assert harmed / n <= bound <= 1.0
    assert bound <= binomial_bound(min(harmed + 1, n), n, confidence) + 1e-12
    assert bound <= binomial_bound(harmed, n, (1 + confidence) / 2) + 1e-12


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: float(rng.random() < 0.02),
        lambda rng: 0.2 * (rng.random() < 0.1),
        lambda rng: rng.random() ** 40,
        lambda rng: rng.choice([0.0, 0.0, 0.0, 0.05, 0.03]),
    ],
    ids=["rare and whole", "rare and small", "skewed", "many and tiny"],
)
def test_the_betting_bound_covers_the_mean_of_any_distribution(draw):
    rng = random.Random(7)
    mean = sum(draw(rng) for _ in range(100_000)) / 100_000
    missed = sum(betting_bound([draw(rng) for _ in range(80)], 0.9) < mean for _ in range(100))
    assert missed <= 14  # 10 are promised at most; 4 are what chance may add


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.randoms())
@settings(max_examples=40)
def test_the_betting_bound_does_not_ask_for_the_order(values, rng):
    shuffled = list(values)
    rng.shuffle(shuffled)
    bound = betting_bound(values, 0.9)
    assert sum(values) / len(values) <= bound + 1e-9
    assert bound <= 1.0
    assert betting_bound(shuffled, 0.9) == pytest.approx(bound)


def test_the_betting_bound_counts_small_losses_by_their_size():
    values = [0.05] * 60 + [0.0] * 540
    assert 0.005 < betting_bound(values, 0.9) < binomial_bound(3, 600, 0.9) < binomial_bound(60, 600, 0.9)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0]])
def test_of_nothing_and_of_harm_alone_nothing_can_be_promised(values):
    assert betting_bound(values, 0.9) == pytest.approx(1.0)


@given(st.integers(1, 600), st.floats(0.005, 0.2), st.sampled_from([0.8, 0.9, 0.99]))
def test_what_is_tolerated_is_the_most_that_the_bound_allows(n, max_loss, confidence):
    harmed = tolerated(n, max_loss, confidence)
    assert harmed < 0 or binomial_bound(harmed, n, confidence) <= max_loss + 1e-9
    assert binomial_bound(harmed + 1, n, confidence) >= max_loss - 1e-9


@pytest.mark.parametrize(
    ("max_loss", "confidence", "n"), [(0.01, 0.9, 230), (0.02, 0.9, 114), (0.01, 0.95, 299), (0.5, 0.75, 2)]
)
def test_without_harm_it_takes_as_many_steps_as_the_logarithm_says(max_loss, confidence, n):
    assert needed_n(max_loss, confidence) == n
    assert tolerated(n, max_loss, confidence) == 0
    assert tolerated(n - 1, max_loss, confidence) == -1


@given(st.floats(0.005, 0.2), st.floats(0.05, 0.8))
@settings(max_examples=40)
def test_with_some_harm_it_takes_more_and_then_it_is_enough(max_loss, part):
    rate = part * max_loss
    n = needed_n(max_loss, 0.9, rate=rate)
    assert n is not None
    assert n >= (needed_n(max_loss, 0.9) or 0)
    assert binomial_bound(math.ceil(rate * n), n, 0.9) <= max_loss + 1e-9


@pytest.mark.parametrize("rate", [0.0, 0.004])
def test_betting_needs_more_steps_and_then_they_are_enough(rate):
    n = needed_n(0.01, 0.9, rate=rate, betting=True)
    assert n is not None
    assert n > (needed_n(0.01, 0.9, rate=rate) or 0)
    harmed = math.ceil(rate * n)
    assert betting_bound([1.0] * harmed + [0.0] * (n - harmed), 0.9) <= 0.01 + 1e-9


@pytest.mark.parametrize("rate", [0.01, 0.0100001, 0.5, 0.009999])
def test_no_number_of_steps_certifies_harm_as_large_as_the_limit(rate):
    assert needed_n(0.01, 0.9, rate=rate) is None
