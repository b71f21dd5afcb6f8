"""Sequential tests: they find a shift soon, and leave a sequence alone that only scatters."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrouter.learning.drift import SCORE_FLOOR, WARM, Watch, Watches


def scores(right: float, steps: int, seed: int) -> list[float]:
    draws = random.Random(seed)
    return [float(draws.random() < right) for _ in range(steps)]


def found(watch: Watch, values: list[float]) -> int | None:
    return next((step for step, value in enumerate(values, start=1) if watch.see(value) is not None), None)


@pytest.mark.parametrize("seed", range(5))
def test_a_steady_plan_raises_no_alarm(seed: int):
    assert found(Watch(SCORE_FLOOR), scores(0.8, 3000, seed)) is None


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.4), (0.4, 0.9)])
def test_a_shift_is_found_within_a_hundred_observations(before: float, after: float):
    watch = Watch(SCORE_FLOOR)
    assert found(watch, scores(before, 300, 1)) is None
    step = found(watch, scores(after, 100, 2))
    assert step is not None


def test_the_shift_is_told_with_its_means():
    watch = Watch(SCORE_FLOOR)
    for _ in range(WARM):
        watch.see(1.0)
    shifts = [shift for _ in range(WARM) if (shift := watch.see(0.0)) is not None]
    assert (shifts[0].before, shifts[0].lately) == pytest.approx((1.0, 0.0), abs=0.1)


def test_one_outlier_is_no_shift():
    watch = Watch(0.3)
    assert found(watch, [*scores(0.5, 200, 1), 1e6, *scores(0.5, 20, 2)]) is None


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(0.0, 1.0), max_size=200), more=st.lists(st.floats(0.0, 1.0), max_size=200))
def test_a_stored_watch_goes_on_as_it_would_have(values: list[float], more: list[float]):
    watches, again = Watches(), Watches()
    for value in values:
        watches.see("plan", "small", "quality", value)
    again.restore([(i, p, s, state) for i, p, s, state in watches.to_list()])
    for value in more:
        assert watches.see("plan", "small", "quality", value) == again.see("plan", "small", "quality", value)
