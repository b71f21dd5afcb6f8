"""The bundled catalogue: what is known, what stays unknown, and by which rule a model was found."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.catalog import Catalog, ModelCard, tier_prior
from taskrouter.catalog.names import parse
from taskrouter.catalog.tiers import tier_of

CATALOG = Catalog.bundled()

ROWS: dict[str, list[Any]] = {
    "house-large": ["house", 2, 8, 0.5, 128000, 4096, "yyyn", 0],
    "house-large-2024-01-01": ["house", 3, 12, None, 128000, 4096, "yyyn", 0],
    "host_a/maker/open-7b": ["host_a", 0.1, 0.2, None, 32000, 4096, "yn??", 0],
    "host_b/Open-7B-Instruct": ["host_b", 0.3, 0.4, None, 32000, 8192, "nn?y", 0],
    "host_b/open-70b": ["host_b", None, None, None, None, None, "????", 0],
}


@pytest.fixture
def small():
    return Catalog(ROWS, sources=["the test"], as_of="2026-01-01")


def known(model: str) -> ModelCard:
    card = CATALOG.resolve(model)
    assert card is not None
    return card


def test_several_hundred_chat_models_resolve():
    assert len(CATALOG) > 500
    assert all(CATALOG.resolve(string) is not None for string in CATALOG)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-mini", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "azure/gpt-4o",
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "groq/llama-3.3-70b-versatile",
        "mistral/mistral-large-latest", "deepseek/deepseek-chat", "openrouter/openai/gpt-4o", "xai/grok-4",
        "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "cohere/command-r-plus", "perplexity/sonar",
        "fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct",
    ],
)  # fmt: skip
def test_strings_of_every_large_provider_resolve_with_a_price(model):
    card = known(model)
    assert card.priced
    assert card.id == card.model == model


def test_every_listed_string_finds_its_own_row():
    for string in CATALOG:
        assert "(" not in known(string).source


def test_prices_are_the_published_ones():
    mini, sonnet = known("gpt-4o-mini"), known("anthropic/claude-3-5-sonnet-20241022")
    assert (mini.input_usd_per_million, mini.cached_input_usd_per_million, mini.output_usd_per_million) == (
        0.15, 0.075, 0.6,
    )  # fmt: skip
    assert (sonnet.input_usd_per_million, sonnet.output_usd_per_million) == (3, 15)
    assert mini.context_tokens == 128_000
    assert mini.capabilities.tools
    assert mini.capabilities.vision
    assert mini.capabilities.json_schema


def test_no_price_pair_is_zero():
    cards = [known(string) for string in CATALOG]
    assert not [c.id for c in cards if c.input_usd_per_million == 0 and c.output_usd_per_million == 0]


def test_local_models_have_no_price():
    assert not known("ollama/llama3").priced


def test_every_card_names_its_source_and_date():
    for string in CATALOG:
        card = known(string)
        assert re.match(r"(litellm|genai-prices) \d", card.source)
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(card.as_of))


def test_a_missing_capability_is_unknown_not_false(small):
    card = small.resolve("host_a/maker/open-7b")
    assert card.capabilities.tools is True
    assert card.capabilities.vision is False
    assert card.capabilities.json_schema is None
    assert card.capabilities.reasoning is None


def test_an_unknown_model_is_none(small):
    assert small.resolve("nobody/has-heard-of-it") is None


@pytest.mark.parametrize("model", ["house-large", "house/house-large", "House-Large", "house/house-large-latest"])
def test_prefix_case_and_latest_find_the_listing(small, model):
    assert small.resolve(model).output_usd_per_million == 8


def test_a_listed_date_has_its_own_price_and_an_unlisted_date_the_undated_one(small):
    assert small.resolve("house-large-2024-01-01").output_usd_per_million == 12
    assert small.resolve("house/house-large-2025-09-09").output_usd_per_million == 8
    assert "listed as 'house-large'" in small.resolve("house/house-large-2025-09-09").source


def test_another_host_s_price_is_never_taken_over(small):
    card = small.resolve("vllm/Open-7B-Instruct")
    assert not card.priced
    assert card.max_output_tokens is None
    assert "other hosts" in card.source


def test_from_other_hosts_only_what_all_agree_on_is_taken_over(small):
    card = small.resolve("vllm/Open-7B-Instruct")
    assert card.context_tokens == 32000
    assert card.capabilities.tools is None
    assert card.capabilities.vision is False
    assert card.capabilities.reasoning is True


def test_a_bare_name_takes_its_maker_s_price():
    assert known("claude-3.5-sonnet-0620").provider == "anthropic"
    assert known("open-mixtral-8x22b").provider == "mistral"


def test_a_model_with_nothing_but_published_figures_is_known_by_them(small):
    card = small.resolve("gpt-4o-mini")
    assert not card.priced
    assert card.quality["reasoning"].source
    assert "published figures only" in card.source


@given(st.sampled_from(sorted(CATALOG)), st.sampled_from(["vllm/{}", "{}-latest", "{}@somewhere", "{}-2031-01-01"]))
def test_no_rule_crosses_models(string, spelling):
    asked = spelling.format(string)
    found = re.search(r"such as '(.*)'|listed as '(.*)'", card.source) if (card := CATALOG.resolve(asked)) else None
    if found:
        assert parse(found[1] or found[2]).stem == parse(asked).stem


@pytest.mark.parametrize("model", ["llama-3.1-9b", "gpt-4o-micro", "qwen2.5-8b-instruct", "claude-3-5-tanka", "gpt-9"])
def test_a_near_miss_is_not_guessed(model):
    assert CATALOG.resolve(model) is None


def test_suggestions_are_known_and_close():
    assert CATALOG.suggest("gpt-4o-mimi")[0] == "gpt-4o-mini"
    assert CATALOG.suggest("anthropic/claude-sonet-4-5")[0].endswith("claude-sonnet-4-5")
    assert all(string in set(CATALOG) for string in CATALOG.suggest("lama-3.3-70b", n=5))
    assert CATALOG.suggest("???") == []


def test_tiers_follow_size_first_and_price_else():
    assert tier_of(parse("llama-3.1-8b"), 50) == "small"
    assert tier_of(parse("llama-3.3-70b"), None) == "medium"
    assert tier_of(parse("llama-3.1-405b"), 0.1) == "large"
    assert [tier_of(parse("gpt"), usd) for usd in (0.6, 4, 10, 75, None)] == [
        "small", "medium", "large", "frontier", None,
    ]  # fmt: skip


def test_the_tier_prior_is_wide_and_says_that_it_is_a_guess():
    means = [tier_prior(tier).mean for tier in ("small", "medium", "large", "frontier")]
    assert means == sorted(means)
    assert tier_prior(None).weight <= 2
    assert "no published figure" in tier_prior(None).source
