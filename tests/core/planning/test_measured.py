"""What is known of agreement without labels: weaker pairs lose more, and what was not measured is in doubt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.planning import measured as module
from taskrouter.planning.agreement import LOSSES
from taskrouter.planning.measured import BEYOND, Measured, figures_of, measured

gaps = st.floats(-0.5, 0.9)
kinds = st.sampled_from(sorted(measured()))


@given(kinds, gaps, gaps)
def test_a_weaker_pair_is_never_expected_to_lose_less(kind: str, one: float, other: float):
    near, far = sorted((one, other))
    assert measured()[kind].expected(near).mean <= measured()[kind].expected(far).mean + 1e-12


@given(kinds, gaps, st.floats(0, 0.3))
def test_the_interval_holds_the_mean_and_is_wider_where_less_is_known(kind: str, gap: float, doubt: float):
    figures = measured()[kind]
    usual, known, doubted = figures.expected(figures.gap), figures.expected(gap), figures.expected(gap, doubt)
    assert known.low < known.mean < known.high
    assert known.high - known.low >= usual.high - usual.low - 1e-12
    assert doubted.high - doubted.low >= known.high - known.low - 1e-12


def test_far_beside_the_pairs_that_were_tried_the_interval_widens():
    figures = measured()["code"]
    tried, beyond = figures.expected(figures.gap + BEYOND), figures.expected(figures.gap + 3 * BEYOND)
    assert beyond.high - beyond.low > tried.high - tried.low


@given(kinds, st.floats(0, 1), st.floats(0, 1))
def test_better_models_agree_more_often(kind: str, one: float, other: float):
    low, high = sorted((one, other))
    assert 0 < measured()[kind].agreeing(low) <= measured()[kind].agreeing(high) < 1


def test_every_figure_says_on_what_it_rests():
    for figures in measured().values():
        assert figures.prompts > 400
        assert figures.pairs > 10
        assert ", 20" in figures.source
        assert str(figures.prompts) in figures.expected(0.1).source


def test_a_kind_that_was_not_measured_is_taken_from_the_others_and_documents_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    others: dict[str, Measured] = {"other": measured()["other"]}
    monkeypatch.setattr(module, "measured", lambda: others)
    assert figures_of("number") is others["other"]
    assert figures_of("json") is None
    assert "json" not in LOSSES
