"""Whether the model that a provider reports is the one that was asked for."""

from __future__ import annotations

import pytest

from taskrouter.catalog.served import same_model


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("openai/gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-4-0613"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("anthropic/claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        ("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("bedrock/us.anthropic.claude-3-5-sonnet-20240620-v1:0", "claude-3-5-sonnet-20240620"),
        ("gemini/gemini-2.0-flash", "gemini-2.0-flash-001"),
        ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ],
)
def test_a_snapshot_is_the_model_that_its_alias_stands_for(asked: str, served: str) -> None:
    assert same_model(asked, served) is True


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("openai/gpt-4o", "gpt-4o-mini"),
        ("gpt-4", "gpt-4.1"),
        ("gpt-4", "gpt-4-turbo"),
        ("openai/gpt-5", "gpt-5.2"),
        ("openai/gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("anthropic/claude-opus-4-1", "claude-sonnet-4-5-20250929"),
        ("openai/first", "served-1"),
    ],
)
def test_a_sibling_or_another_snapshot_is_another_model(asked: str, served: str) -> None:
    assert same_model(asked, served) is False


@pytest.mark.parametrize(
    ("asked", "served", "provider"),
    [("openai/gpt-4o", None, None), ("azure/our-deployment", "gpt-4o-2024-08-06", None), ("ours", "gpt-4o", "azure")],
)
def test_where_nothing_is_reported_or_the_name_is_a_deployments_nothing_can_be_told(
    asked: str, served: str | None, provider: str | None
) -> None:
    assert same_model(asked, served, provider=provider) is None
