"""Making a routed model: the same arguments and the same words for what is wrong, whatever the framework."""

from __future__ import annotations

from typing import Any

import pytest
from tests.adapters.contract import Bench, Pair, Way, card
from tests.standins.brain import GREETING

from taskrouter import ConfigurationError, Router

NO_RETRIES = {"execution": {"retries": 0}}


async def test_candidates_are_a_mapping_from_ids(bench: Bench, way: Way, pair: Pair) -> None:
    routed = bench.door.routed(bench.candidates(pair), incumbent=pair[1].id, config=NO_RETRIES)
    assert list(routed.router.models) == [wire.id for wire in pair]
    assert routed.router.incumbent == pair[1].id
    assert (await bench.ask(routed, way)).text == GREETING
    assert bench.asked == [pair[1].model]


async def test_candidates_may_be_a_list_named_by_their_models(bench: Bench, way: Way, pair: Pair) -> None:
    given = list(bench.candidates(pair).values())
    routed = bench.door.routed(given, incumbent=pair[1].model, config=NO_RETRIES)
    assert list(routed.router.models) == [wire.model for wire in pair]
    bench.vendors.fail(pair[1].model, "unavailable")
    assert (await bench.ask(routed, way)).text == GREETING
    assert bench.asked == [pair[1].model, pair[0].model]


async def test_one_candidate_is_the_incumbent(bench: Bench, way: Way, pair: Pair) -> None:
    routed = bench.door.routed([bench.candidates(pair)[pair[0].id]])
    assert (await bench.ask(routed, way)).text == GREETING


def test_the_catalogue_knows_what_the_name_says(bench: Bench, pair: Pair) -> None:
    routed = bench.door.routed(bench.candidates(pair), incumbent=pair[0].id)
    for wire in pair:
        known = routed.router.models[wire.id]
        assert known.priced
        assert known.capabilities.tools
        assert known.context_tokens


def test_facts_from_the_configuration_win(bench: Bench, pair: Pair) -> None:
    facts = {"id": pair[0].id, "input_usd_per_million": 2.5, "regions": ["eu"]}
    routed = bench.door.routed(bench.candidates(pair), incumbent=pair[0].id, config={"models": [facts]})
    known = routed.router.models[pair[0].id]
    assert (known.input_usd_per_million, known.regions) == (2.5, frozenset({"eu"}))


async def test_a_router_may_be_shared(bench: Bench, way: Way, pair: Pair) -> None:
    router = Router([card(wire) for wire in pair], pair[0].id)
    both = bench.door.routed(bench.candidates(pair), router=router)
    one = bench.door.routed({pair[0].id: bench.candidates(pair)[pair[0].id]}, router=router)
    assert both.router is one.router is router
    for routed in (both, one):
        assert (await bench.ask(routed, way)).text == GREETING
    assert bench.asked == [pair[0].model] * 2


async def test_timeout_and_retries_are_the_routers(bench: Bench, way: Way, pair: Pair) -> None:
    bench.vendors.fail(pair[0].model, "error")
    backoff = {"backoff_base_s": 0.001, "backoff_max_s": 0.001}
    routed = bench.door.routed(
        bench.candidates(pair), incumbent=pair[0].id, timeout=7, max_retries=1, config={"execution": backoff}
    )
    assert routed.router.execution.timeout_s == 7
    await bench.ask(routed, way)
    assert bench.asked == [pair[0].model] * 2 + [pair[1].model]


WRONG: dict[str, dict[str, Any]] = {
    "candidates is empty": {"candidates": {}},
    "incumbent: unknown model 'chaty'.*did you mean": {"incumbent": "chaty"},
    "incumbent is missing": {"incumbent": None},
    r"candidates\['chatty'\] is a int": {"candidates": {"chatty": 3}},
    "candidates is a mapping .* not a str": {"candidates": "gpt-4o"},
    "has no argument 'max_retry'; did you mean 'max_retries'": {"max_retry": 2},
    "has no argument 'incumbant'; did you mean 'incumbent'": {"incumbant": "chatty"},
    "unknown key 'retry'": {"config": {"retry": 3}},
    "policy: unknown name 'cheap'": {"policy": "cheap"},
    "models: 'third' is no candidate; the candidates are chatty, ": {"config": {"models": [{"id": "third"}]}},
    "router is a str; it must be a taskrouter.Router": {"router": "mine", "incumbent": None},
    "execution: 'retries': must be greater than or equal to 0": {"max_retries": -1},
    "execution: 'timeout_s': must be greater than 0": {"timeout": -1},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_argument_is_named(bench: Bench, message: str) -> None:
    given = {"candidates": bench.candidates(bench.door.wires), "incumbent": bench.door.wires[0].id, **WRONG[message]}
    with pytest.raises(ConfigurationError, match=message):
        bench.door.routed(given.pop("candidates"), **given)


def test_no_candidate_at_all_is_named(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="candidates is empty"):
        bench.door.routed()


def test_an_id_taken_twice_is_named(bench: Bench, pair: Pair) -> None:
    twice = [bench.candidates(pair)[pair[0].id] for _ in range(2)]
    with pytest.raises(ConfigurationError, match=rf"candidates\[1\]: the id '{pair[0].model}' is taken twice"):
        bench.door.routed(twice)


@pytest.mark.parametrize("given", ["config", "timeout"])
def test_what_is_the_shared_routers_is_not_given_twice(bench: Bench, pair: Pair, given: str) -> None:
    router = Router([card(wire) for wire in pair], pair[0].id)
    value: Any = {"config": {}, "timeout": 3}[given]
    with pytest.raises(ConfigurationError, match=f"{given} and"):
        bench.door.routed(bench.candidates(pair), router=router, **{given: value})


def test_candidates_and_a_shared_router_must_fit(bench: Bench, pair: Pair) -> None:
    router = Router([card(wire) for wire in pair], pair[0].id)
    given = bench.candidates(pair)
    with pytest.raises(ConfigurationError, match=f"the incumbent of the given router, '{pair[0].id}', is missing"):
        bench.door.routed({pair[1].id: given[pair[1].id]}, router=router)
    with pytest.raises(ConfigurationError, match="'other' is not in the pool of the given router"):
        bench.door.routed({**given, "other": given[pair[1].id]}, router=router)
