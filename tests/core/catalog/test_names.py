"""Names are read so that one model's spellings meet, and two models never do."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.catalog.names import parse

SAME = [
    ("gpt-4o-mini", "openai/gpt-4o-mini-2024-07-18"),
    ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06-FC"),
    ("azure/gpt-35-turbo", "gpt-3.5-turbo-0125"),
    ("claude-3.5-sonnet-0620", "anthropic/claude-3-5-sonnet-20240620"),
    ("claude-3-5-sonnet@20240620", "us.anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("claude-opus-4-0", "anthropic/claude-4-opus"),
    ("gemini-1.5-pro-002", "gemini-1.5-pro-preview-0514"),
    ("gemini-2.5-pro-preview-05-06", "gemini/gemini-2.5-pro"),
    ("Meta-Llama-3_1-70B-Instruct", "fireworks_ai/accounts/fireworks/models/llama-v3p1-70b-instruct"),
    ("Llama-3.1-405B-Inst@sambanova", "meta.llama3-1-405b-instruct-v1:0"),
    ("ollama/llama3.1:8b", "Meta-Llama-3.1-8B-Instruct"),
    ("groq/llama-3.3-70b-versatile", "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ("Qwen/Qwen2.5-7B-Instruct", "qwen-2.5-7b-instruct"),
    ("Qwen1.5-72B-Chat", "qwen1.5-72b"),
    ("open-mixtral-8x22b", "mistralai/Mixtral-8x22B-Instruct-v0.1"),
    ("mistral.mistral-7b-instruct-v0:2", "mistral-7b-instruct-v0.3"),
    ("c4ai-command-r-v01", "command-r-08-2024"),
    ("gemma-2-9b-it", "google/gemma-2-9b"),
    ("bedrock/us.deepseek.r1-v1:0", "deepseek/deepseek-r1"),
]

DIFFERENT = [
    ("gpt-4o", "gpt-4o-mini"),
    ("gpt-4", "gpt-4-1106-preview"),
    ("gpt-4", "gpt-4.1"),
    ("gpt-5", "gpt-5-chat"),
    ("gpt-3.5-turbo", "gpt-3.5-turbo-instruct"),
    ("gpt-3.5-turbo", "gpt-3.5-turbo-16k"),
    ("o1", "o1-preview-2024-09-12"),
    ("o1", "o1-mini"),
    ("claude-3-5-sonnet", "claude-3-5-haiku"),
    ("claude-3-5-sonnet", "claude-3-7-sonnet"),
    ("claude-v1", "claude-v2"),
    ("gemini-1.5-flash", "gemini-1.5-flash-8b"),
    ("gemini-2.0-flash", "gemini-2.0-flash-exp"),
    ("gemini-exp-1206", "gemini-pro"),
    ("llama-3.1-8b", "llama-3.1-70b"),
    ("llama-3-8b", "llama-3.1-8b"),
    ("llama-3.1-70b-instruct", "llama-3.1-nemotron-70b-instruct"),
    ("qwen2-1.5b", "qwen2-5b"),
    ("qwen2-1.5b", "qwen2.1-5b"),
    ("qwen2.5-7b", "qwen2-57b-a14b"),
    ("qwen2.5-7b", "qwen2.5-coder-7b"),
    ("deepseek-chat", "deepseek-coder"),
    ("deepseek-r1", "deepseek-r1-distill-llama-70b"),
    ("command-r", "command-r-plus"),
    ("command-r", "command-r7b-12-2024"),
    ("llama-3.3-nemotron-super-49b-v1", "llama-3.3-nemotron-super-49b-v1.5"),
    ("r1-1776", "bedrock/us.deepseek.r1-v1:0"),
    ("phi-3-mini-4k-instruct", "phi-3.5-mini-instruct"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_model_share_a_stem(one, other):
    assert parse(one).stem == parse(other).stem


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_models_never_share_a_stem(one, other):
    assert parse(one).stem != parse(other).stem


@given(
    st.sampled_from(["llama-3.1", "qwen2.5", "gemma-2", "mistral", "phi-3"]),
    st.decimals(min_value="0.1", max_value="999", places=1).map(lambda d: f"{d.normalize():f}"),
    st.sampled_from(["{line}-{size}b", "Meta-{line}-{size}B-Instruct", "x/{line}:{size}b", "{line}-{size}B-Chat-hf"]),
)
def test_a_size_survives_every_spelling(line, size, spelling):
    assert parse(spelling.format(line=line, size=size)).billions == float(size)


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text_can_be_read_whatever_its_case(text):
    assert parse(text) == parse(text.upper())


def test_revisions_are_kept_apart_from_the_model():
    assert parse("gpt-4o-2024-08-06").revision == "20240806"
    assert parse("command-r-08-2024").revision == "202408"
    assert parse("gemini-1.5-pro-002").revision == "002"
    assert parse("mistral-7b-instruct-v0.3").revision == "v0.3"
    assert parse("gpt-4o-latest").revision is None


def test_a_short_date_is_the_long_date_it_ends():
    assert parse("claude-3.5-sonnet-0620").is_revision("20240620")
    assert not parse("claude-3.5-sonnet-0620").is_revision("20241022")


def test_releases_by_year_and_month_are_models_of_their_own():
    assert not parse("mistral-large-2402").may_be("2407")
    assert not parse("mistral-large-latest").may_be("2407")
    assert parse("gpt-4o-2024-05-13").may_be("20240806")
    assert parse("gpt-3.5-turbo-0613").may_be("0125")


def test_experts_count_together():
    assert parse("Mixtral-8x7B-Instruct-v0.1").billions == 56


def test_families_are_lines_with_their_generation_where_generations_differ():
    assert parse("claude-3-5-haiku").family == "claude"
    assert parse("Meta-Llama-3.1-8B-Instruct").family == "llama-3"
    assert parse("gpt-4o-mini").family == "gpt-4o"
    assert parse("somebody/something").family is None
