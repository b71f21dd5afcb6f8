"""The pool: the user's facts come first, the catalogue says the rest, and unknown stays unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter import Capabilities, ConfigurationError, ModelCard, Router
from taskrouter.catalog import Catalog
from taskrouter.config import ModelConfig
from taskrouter.pool import Models, build_pool

KNOWN = "openai/gpt-4o-mini"
PRIOR = {"mean": 0.5, "weight": 200.0, "source": "our own labels"}


def pool(models: Models) -> dict[str, ModelConfig]:
    return {model.id: model for model in build_pool(models, Catalog.bundled())}


def only(model: Mapping[str, Any] | ModelCard | str) -> ModelConfig:
    (built,) = pool([model]).values()
    return built


def catalogue() -> ModelCard:
    card = Catalog.bundled().resolve(KNOWN)
    assert card is not None
    return card


def test_the_catalogue_fills_in_what_is_not_given() -> None:
    known, model = catalogue(), only({"id": "small", "model": KNOWN})
    for name in ModelCard.model_fields:
        if name != "id":
            assert getattr(model, name) == getattr(known, name), name
    assert model.id == "small"
    assert model.priced
    assert model.context_tokens


def test_what_is_given_comes_before_the_catalogue() -> None:
    model = only({"id": "small", "model": KNOWN, "input_usd_per_million": 9.5, "context_tokens": 1000, "tier": "large"})
    assert (model.input_usd_per_million, model.context_tokens, model.tier) == (9.5, 1000, "large")
    assert model.output_usd_per_million == catalogue().output_usd_per_million


def test_nested_capabilities_and_figures_are_merged_entry_by_entry() -> None:
    known = catalogue()
    assert known.capabilities.tools
    model = only({"id": "s", "model": KNOWN, "capabilities": {"vision": False}, "quality": {"planning": PRIOR}})
    assert model.capabilities.vision is False
    assert model.capabilities.tools is True
    assert model.quality["planning"].source == "our own labels"
    assert {task: model.quality[task] for task in known.quality if task != "planning"} == {
        task: prior for task, prior in known.quality.items() if task != "planning"
    }


def test_one_may_say_that_something_is_not_known() -> None:
    card = ModelCard(id="s", model=KNOWN, context_tokens=None, capabilities=Capabilities(tools=None))
    assert catalogue().context_tokens is not None
    model = only(card)
    assert model.context_tokens is None
    assert model.capabilities.tools is None
    assert model.priced


def test_what_nobody_says_stays_unknown() -> None:
    model = only({"id": "house", "base_url": "http://127.0.0.1:8000/v1"})
    assert model.input_usd_per_million is None
    assert model.context_tokens is None
    assert model.capabilities == Capabilities()
    assert model.quality == {}
    assert model.cost_usd(100, 100) is None


@given(st.dictionaries(st.sampled_from(["tools", "vision", "json_schema", "reasoning"]), st.booleans()))
def test_capabilities_are_the_users_where_said_and_the_catalogues_elsewhere(said: dict[str, bool]) -> None:
    model = only({"id": "s", "model": KNOWN, "capabilities": said})
    expected = {**catalogue().capabilities.model_dump(), **said}
    assert model.capabilities.model_dump() == expected


def test_a_model_string_alone_is_a_model_of_that_id() -> None:
    model = only(KNOWN)
    assert (model.id, model.model) == (KNOWN, KNOWN)
    assert model.priced


@pytest.mark.parametrize(
    "spec",
    [
        KNOWN,
        {"model": KNOWN},
        {"model": KNOWN, "id": "another name"},
        ModelCard(id="another name", model=KNOWN),
        ModelConfig(id="another name", model=KNOWN),
    ],
)
def test_in_a_mapping_the_key_is_the_id(spec: Any) -> None:
    models = pool({"small": spec})
    assert list(models) == ["small"]
    assert models["small"] == only({"id": "small", "model": KNOWN})


def test_list_mapping_and_configuration_build_the_same_pool() -> None:
    table = {"model": KNOWN, "tags": ["cheap"]}
    listed = Router([{"id": "small", **table}])
    mapped = Router({"small": table})
    configured = Router.from_config({"models": [{"id": "small", **table}]})
    assert dict(listed.models) == dict(mapped.models) == dict(configured.models)


def test_any_iterable_will_do() -> None:
    assert list(pool(name for name in (KNOWN, "openai/gpt-4o"))) == [KNOWN, "openai/gpt-4o"]


@pytest.mark.parametrize(
    "name", ["small", "größer", "小さい", "two words", "openai/gpt-4o:v2", "a" * 200, "{}", "%s", "[b]"]
)
def test_an_id_may_be_any_visible_text(name: str) -> None:
    assert list(pool({name: KNOWN})) == [name]
    assert name in Router({name: KNOWN}).models


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "a\nb", "a\x1b[31m", "\ud800", "\x00", "a" * 201])
@pytest.mark.parametrize(
    "shape",
    [
        lambda name: [{"id": name, "model": KNOWN}],
        lambda name: {name: KNOWN},
        lambda name: {name: ModelCard(id="x", model=KNOWN)},
        lambda name: [ModelCard(id=name, model=KNOWN)],
    ],
)
def test_an_id_that_cannot_be_read_is_refused(shape: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"models\[0\]: 'id': .* is no usable name"):
        pool(shape(name))


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (3, "a list of models or a mapping from id to model: 3"),
        (None, "a list of models or a mapping"),
        (b"gpt", "a list of models or a mapping"),
        (KNOWN, "a list of models or a mapping from id to model: 'openai/gpt-4o-mini'"),
        ([], "no model to route to"),
        ({}, "no model to route to"),
        ([None], r"models\[0\] is a NoneType; it must be a ModelCard, a table or a model string"),
        ([("a", KNOWN)], r"models\[0\] is a tuple"),
        ([KNOWN, object()], r"models\[1\] is a object"),
        ({"a": 3}, r"models\['a'\] is a int"),
        ({3: KNOWN}, r"models\[0\]: 'id': must be text"),
        ([{1: 2}], r"models\[0\]: 'id': is missing"),
        ([{"id": "a", "model": KNOWN}, {"id": "a", "model": KNOWN}], r"models\[1\].id: 'a' is taken twice"),
        (["openai/gpt-4o-mni"], "not in the catalogue .did you mean 'gpt-4o-mini'"),
        ([{"id": "own", "tags": ["x"]}], "say what is known of it: a base_url, prices, or capabilities"),
    ],
)
def test_a_wrong_pool_is_one_error_that_says_which_model(models: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build_pool(models, Catalog.bundled())
