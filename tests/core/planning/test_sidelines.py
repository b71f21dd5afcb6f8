"""Models that are out at the moment step back in the choice, and are kept as a last resort."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.core.planning.pools import POLICIES, card, chosen, decided, plan, policy, pools, profiles, sidelined

from taskrouter.planning import Planner
from taskrouter.ports import Conditions, Sidelined

OPEN = Sidelined("breaker_open", "5 of the last 6 calls failed; it is tried again in 30 s", 130.0)
LIMITED = Sidelined("rate_limited", "the provider asks to wait 10 s", 110.0)
SLOW = Sidelined("slow", "half of the last 20 calls took over 8 s", 900.0)


def test_a_sidelined_model_is_rejected_with_its_reason_and_ends_the_fallbacks() -> None:
    cards = [card("small"), card("medium"), card("large")]
    planned = plan(cards, sidelined={"large": OPEN})
    assert chosen(planned) in {"small", "medium"}
    assert planned.choice.reason == "incumbent_ineligible"
    assert [(r.model, r.code, r.detail) for r in planned.rejected] == [("large", "breaker_open", OPEN.detail)]
    assert planned.fallbacks[-1] == "large"
    assert "large" not in {row.model for row in decided(planned).ranking}
    assert f"large: {OPEN.detail} (breaker_open); tried as a last resort" in decided(planned).explain()


def test_of_several_sidelined_models_the_least_bad_one_is_tried_first() -> None:
    cards = [card("open"), card("slow"), card("limited"), card("well")]
    planned = plan(cards, sidelined={"open": OPEN, "slow": SLOW, "limited": LIMITED})
    assert planned.fallbacks == ("slow", "limited", "open")
    assert [r.model for r in planned.rejected] == ["slow", "limited", "open"]


def test_where_all_are_sidelined_the_least_bad_one_is_chosen_and_says_why() -> None:
    planned = plan([card("small"), card("large")], sidelined={"large": OPEN, "small": LIMITED})
    assert (chosen(planned), planned.fallbacks) == ("small", ("large",))
    assert planned.choice.reason == "all_sidelined"
    assert planned.choice.detail == (
        "all 2 eligible models are sidelined at the moment; small is the least bad: the provider asks to wait 10 s "
        "(rate_limited)"
    )
    assert [r.model for r in planned.rejected] == ["large"]


def test_a_lone_model_that_is_sidelined_is_still_chosen() -> None:
    planned = plan([card("only")], sidelined={"only": OPEN})
    assert (chosen(planned), planned.fallbacks, planned.rejected) == ("only", (), ())
    assert planned.choice.detail.startswith("the only eligible model is sidelined at the moment; 5 of the last 6")


def test_what_is_said_of_models_that_are_not_eligible_changes_nothing() -> None:
    cards = [card("small"), card("medium"), card("large")]
    planned = plan(cards, eligible=(0, 2), sidelined={"medium": OPEN, "of another pool": OPEN})
    assert (chosen(planned), planned.fallbacks, planned.rejected) == ("large", ("small",), ())


@given(pools(), st.sampled_from(POLICIES), profiles(), st.data())
def test_a_sidelined_model_is_never_chosen_while_another_one_is_eligible(cards, name, task, data) -> None:
    ids = [c.id for c in cards]
    eligible = tuple(sorted(data.draw(st.sets(st.integers(0, len(ids) - 1), min_size=1))))
    out = data.draw(sidelined(ids))
    incumbent = data.draw(st.sampled_from(ids))
    planned = plan(cards, name, incumbent=incumbent, task=task, eligible=eligible, sidelined=out)
    names = {ids[i] for i in eligible}
    if names - set(out):
        assert chosen(planned) not in out
        assert {r.model for r in planned.rejected} == names & set(out)
    else:
        assert planned.choice.reason == "all_sidelined"
    assert sorted([chosen(planned), *planned.fallbacks]) == sorted(names)
    last = [model for model in planned.fallbacks if model in out]
    assert list(planned.fallbacks[len(planned.fallbacks) - len(last) :]) == last
    assert last == sorted(last, key=lambda model: (out[model].code != "slow", out[model].until_s))
    if incumbent in planned.fallbacks and incumbent not in out:
        assert planned.fallbacks[0] == incumbent


def test_an_escalation_goes_on_behind_the_chosen_model_and_then_around() -> None:
    cards = [card("a"), card("b"), card("c"), card("d")]
    assert plan(cards, incumbent="b", escalation=["a", "b", "c", "d"]).fallbacks == ("c", "d", "a")
    assert plan(cards, incumbent="d", escalation=["c", "d", "a"]).fallbacks == ("a", "c")


def test_a_model_that_is_not_in_the_chain_falls_back_to_the_whole_chain() -> None:
    cards = [card("a"), card("b"), card("c")]
    assert plan(cards, incumbent="b", escalation=["c", "a"]).fallbacks == ("c", "a")
    assert plan(cards, incumbent="b", escalation=["c", "gone"]).fallbacks == ("c",)


@given(pools(), profiles(), st.data())
def test_an_escalation_never_leaves_its_chain_and_ends_with_what_is_sidelined(cards, task, data) -> None:
    ids = [c.id for c in cards]
    eligible = tuple(sorted(data.draw(st.sets(st.integers(0, len(ids) - 1), min_size=1))))
    chain = data.draw(st.permutations([*ids, "of another pool"]).flatmap(lambda p: st.just(p[: len(p) // 2 + 1])))
    out = data.draw(sidelined(ids))
    planned = plan(cards, "economy", task=task, eligible=eligible, escalation=chain, sidelined=out)
    assert set(planned.fallbacks) == {ids[i] for i in eligible} & set(chain) - {chosen(planned)}
    assert len(set(planned.fallbacks)) == len(planned.fallbacks)
    is_out = [model in out for model in planned.fallbacks]
    assert is_out == sorted(is_out)


@given(pools(), st.sampled_from(POLICIES), profiles())
def test_conditions_that_say_nothing_change_nothing(cards, name, task) -> None:
    everyone = tuple(range(len(cards)))
    planner = Planner(cards, incumbent=0)
    plain = planner.plan(task, everyone, policy(name))
    nothing = planner.plan(task, everyone, policy(name), Conditions())
    assert nothing == plain
    weightless = Conditions(cost_weight=0.0, latency_weight=0.0, cached_tokens={}, sidelined={"of another pool": OPEN})
    assert planner.plan(task, everyone, policy(name), weightless) == plain
