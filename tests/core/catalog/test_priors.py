"""Cited priors: every one has its documents, and the fit keeps the order that the figures show."""

import json
from importlib.resources import files

import pytest

from taskrouter.catalog import GENERAL, Catalog, cited_quality
from taskrouter.profile import TASK_TYPES

DATA = json.loads(files("taskrouter.catalog").joinpath("data/priors.json").read_text(encoding="utf-8"))
CITED = [(stem, revision) for stem, revisions in DATA["models"].items() for revision in revisions]


def mean(model: str, task: str) -> float:
    return cited_quality(model)[task].mean


def test_many_models_of_many_houses_are_covered():
    assert len(DATA["models"]) >= 60


def test_every_prior_is_a_probability_for_a_known_task_with_figure_document_and_date():
    for stem, revision in CITED:
        for task, (share, weight, source) in DATA["models"][stem][revision].items():
            assert task in (*TASK_TYPES, GENERAL)
            assert 0 < share < 1
            assert 10 <= weight <= 50
            assert any(character.isdigit() for character in DATA["sources"][source])
            assert ", 20" in DATA["sources"][source]


@pytest.mark.parametrize(
    ("better", "worse", "task"),
    [
        ("gpt-4o", "gpt-3.5-turbo", "reasoning"),
        ("gpt-4o", "gpt-4o-mini", "reasoning"),
        ("o1", "gpt-4o", "reasoning"),
        ("claude-3-5-sonnet-20241022", "claude-3-haiku-20240307", "code_generation"),
        ("claude-3-5-sonnet-20241022", "gpt-4o-2024-05-13", "code_repair"),
        ("llama-3.1-405b", "llama-3.1-70b", "open_qa"),
        ("llama-3.1-70b", "llama-3.1-8b", "tool_use"),
        ("llama-3.1-8b", "llama-2-7b", "closed_qa"),
        ("qwen2.5-72b", "qwen2.5-7b", "rewriting"),
        ("gpt-4o", "llama-3.2-1b", "translation"),
        ("gemini-1.5-pro", "gemini-1.5-flash", GENERAL),
        ("mistral-large-2407", "mistral-7b-instruct-v0.3", GENERAL),
    ],
)
def test_stronger_models_have_higher_priors(better, worse, task):
    assert mean(better, task) > mean(worse, task)


def test_spellings_of_one_model_have_the_same_priors():
    spellings = ["Meta-Llama-3_1-8B-Instruct", "ollama/llama3.1:8b", "meta.llama3-1-8b-instruct-v1:0"]
    assert all(cited_quality(spelling) == cited_quality("llama-3.1-8b") for spelling in spellings)


def test_sizes_and_versions_do_not_share_priors():
    assert cited_quality("llama-3.1-9b") == {}
    assert cited_quality("gpt-4o-nano") == {}
    assert cited_quality("mistral-large-2411") == {}


def test_another_revision_s_figures_count_for_half_and_are_named():
    exact, other = cited_quality("gpt-4o-2024-08-06")["reasoning"], cited_quality("gpt-4o-2024-01-01")["reasoning"]
    assert other.weight < exact.weight
    assert other.source.startswith("revision 2024")


def test_a_card_and_its_string_have_the_same_priors():
    card = Catalog.bundled().resolve("openai/gpt-4o-mini")
    assert card is not None
    assert cited_quality(card) == cited_quality("openai/gpt-4o-mini") == card.quality


def test_a_model_known_by_its_speciality_alone_gets_no_general_prior():
    assert GENERAL not in cited_quality("llama3-chatqa-1.5-8b")
    assert GENERAL not in cited_quality("codegemma-7b")
