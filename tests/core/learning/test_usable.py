"""What is left of a divided identity when some of its plans cannot be taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.decision import NO_LOSS, Plan
from taskrouter.learning.policy import Branch, drawn, usable

PLANS = (Plan(models=("a",)), Plan(models=("b",)), Plan(kind="agree", models=("a", "b", "c")))


@st.composite
def divided(draw: st.DrawFn) -> tuple[Branch, ...]:
    raw = draw(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3))
    return tuple(Branch(plan, share / sum(raw), NO_LOSS) for plan, share in zip(PLANS, raw, strict=True))


@given(divided(), st.frozensets(st.sampled_from("abc")), st.booleans())
def test_shares_sum_to_one_again_and_keep_their_proportions(
    branches: tuple[Branch, ...], allowed: frozenset[str], several: bool
) -> None:
    able = usable(branches, allowed=allowed, several=several)
    for branch in able:
        assert set(branch.plan.models) <= allowed
        assert several or len(branch.plan.models) == 1
    if able:
        assert sum(branch.share for branch in able) == pytest.approx(1.0)
        before = {branch.plan: branch.share for branch in branches}
        ratios = {branch.share / before[branch.plan] for branch in able}
        assert max(ratios) == pytest.approx(min(ratios))


@given(divided(), st.floats(0.0, 1.0))
def test_every_number_falls_on_a_branch(branches: tuple[Branch, ...], draw: float) -> None:
    assert drawn(branches, draw) in branches
