"""The decision about one call: among what the request leaves, by the policy that holds for it."""

from __future__ import annotations

from typing import Any

import pytest

from taskrouter import ConfigurationError, NoEligibleModelError, Router, Step
from taskrouter.adapters import choose, identity, pinned

POOL = ("first", "second")
STEP = Step(messages=[{"role": "user", "content": "Hello"}])
CHEAP = {"cost": 1.0}


@pytest.fixture
def router() -> Router:
    cards = [
        {"id": name, "input_usd_per_million": usd, "output_usd_per_million": usd}
        for name, usd in zip(POOL, (4.0, 1.0), strict=True)
    ]
    return Router(cards, "first")


def test_the_incumbent_is_chosen_where_nobody_says_otherwise(router: Router) -> None:
    chosen = choose(router, STEP, identity({}), POOL)
    assert (chosen.decision.model, dict(chosen.notes)) == ("first", {})


@pytest.mark.parametrize(("of_model", "of_call"), [(CHEAP, None), (None, CHEAP), ("safe", CHEAP)])
def test_the_policy_of_a_call_comes_before_the_model_s(router: Router, of_model: Any, of_call: Any) -> None:
    said = {} if of_call is None else {"policy": of_call}
    assert choose(router, STEP, identity(said), POOL, of_model).decision.model == "second"


def test_the_request_leaves_some(router: Router) -> None:
    chosen = choose(router, STEP, identity({}), ["second"])
    assert chosen.decision.model == "second"
    assert [rejection.model for rejection in chosen.decision.rejected] == ["first"]


def test_nobody_left_is_an_error(router: Router) -> None:
    with pytest.raises(NoEligibleModelError):
        choose(router, STEP, identity({}), [])


def test_a_dry_run_goes_to_the_incumbent_and_says_who_would_have_answered(router: Router) -> None:
    chosen = choose(router, STEP, identity({"dry_run": True, "policy": CHEAP}), POOL)
    assert chosen.decision.model == "first"
    assert chosen.notes["dry_run"]["model"] == "second"


def test_the_last_wish_counts() -> None:
    assert pinned(POOL) == ["first", "second"]
    assert pinned(POOL, (None, "a"), (None, "b")) == ["first", "second"]
    assert pinned(POOL, ("first", "a"), ("second", "b"), (None, "c")) == ["second"]


@pytest.mark.parametrize("name", ["third", "", 3, ["first"], {"a": 1}])
def test_a_wish_for_nobody_is_named(name: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pinned(POOL, (name, "model"))
    assert f"model={name!r} is no candidate; the candidates are first, second" in str(caught.value)
