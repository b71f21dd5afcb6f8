"""Candidates as users give them, and what the router is told of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from taskrouter import ConfigurationError, ModelCard, RouterConfig
from taskrouter.adapters import PoolModel, model_config, read_candidates
from taskrouter.adapters.candidates import cards


@dataclass(frozen=True)
class Native:
    """A framework's model."""

    name: str


@dataclass(frozen=True)
class Candidate:
    id: str
    where: str
    pool_model: PoolModel | None = None


def not_asked(candidate: Candidate) -> dict[str, Any]:
    raise AssertionError(f"the framework was asked about {candidate.id}")


def make(key: str | None, spec: Any, where: str) -> Candidate:
    if not isinstance(spec, Native):
        raise ConfigurationError(f"{where} is a {type(spec).__name__}")
    return Candidate(key or spec.name, where)


def read(given: Any) -> dict[str, Candidate]:
    return read_candidates(given, make, single=(Native,), kind="chat model", example='{"large": Native(...)}')


def test_a_mapping_gives_ids_and_a_list_takes_them_from_the_models() -> None:
    assert read({"a": Native("x")}) == {"a": Candidate("a", "candidates['a']")}
    assert read([Native("x"), Native("y")]) == {
        "x": Candidate("x", "candidates[0]"),
        "y": Candidate("y", "candidates[1]"),
    }
    assert list(read(Native(name) for name in "ab")) == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, 'candidates is empty: give a chat model or more, such as {"large": Native(...)}'),
        ([], "candidates is empty"),
        ("gpt-4o", "candidates is a mapping from id to chat model, or a list of chat models, not a str"),
        (Native("x"), "not a Native"),
        (ModelCard(id="x", model="x"), "not a ModelCard"),
        (3, "not a int"),
        (None, "not a NoneType"),
        ([Native("x"), Native("x")], "candidates[1]: the id 'x' is taken twice"),
        ({"a": 3}, "candidates['a'] is a int"),
        ([3], "candidates[0] is a int"),
    ],
)
def test_what_is_wrong_with_candidates_is_named(given: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(given)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["gpt-4o", "openai/gpt-4o", "ft:gpt-4o:me", "ollama/llama3:8b", "a.b:c"])
def test_a_string_is_litellm_s(text: str) -> None:
    config = model_config(text, "here")
    assert (config.id, config.model) == (text, text)


@pytest.mark.parametrize("text", ["openai:gpt-4o", "google_genai:gemini"])
def test_a_string_of_the_framework_s_is_explained(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"a string is a LiteLLM model string, such as '[a-z_]+/") as caught:
        model_config(text, "here", "Give init({}).")
    assert f"Give init({text!r})." in str(caught.value)


def test_a_table_and_a_card_say_what_they_say() -> None:
    table = model_config({"model": "openai/gpt-4o", "context_tokens": 5}, "here")
    assert (table.id, table.model, table.context_tokens) == ("openai/gpt-4o", "openai/gpt-4o", 5)
    card = model_config(ModelCard(id="x", model="y"), "here")
    assert (card.id, card.model, card.model_fields_set) == ("x", "y", {"id", "model"})


def test_a_wrong_table_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"here: .*contxt"):
        model_config({"model": "x", "contxt": 5}, "here")


def told(config: dict[str, Any]) -> Any:
    (card,) = cards(
        {"a": Candidate("a", "")},
        RouterConfig.load(config),
        lambda candidate: {"id": candidate.id, "model": "openai/gpt-4o", "context_tokens": 5},
    )
    return card


def test_the_user_s_facts_win_over_the_framework_s() -> None:
    assert told({}).context_tokens == 5
    card = told({"models": [{"id": "a", "context_tokens": 7}]})
    assert (card.context_tokens, card.model) == (7, "openai/gpt-4o")
    assert told({"models": [{"id": "a", "model": "openai/o3"}]}).model == "openai/o3"


def test_of_a_model_of_the_router_s_own_backends_its_table_tells_and_the_framework_is_not_asked() -> None:
    model = PoolModel(model_config({"model": "openai/gpt-4o", "context_tokens": 5}, "here"))
    (card,) = cards({"a": Candidate("a", "", model)}, RouterConfig.load({}), not_asked)
    assert (card.id, card.model, card.context_tokens) == ("a", "openai/gpt-4o", 5)


def test_facts_about_nobody_are_named() -> None:
    with pytest.raises(ConfigurationError, match="models: 'b' is no candidate; the candidates are a"):
        told({"models": [{"id": "b"}]})
