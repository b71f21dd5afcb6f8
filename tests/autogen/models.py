"""AutoGen's own clients over the stand-ins, made as users make them."""

from __future__ import annotations

from typing import Any

from autogen_core.models import ModelInfo
from autogen_ext.models.anthropic import AnthropicChatCompletionClient
from autogen_ext.models.openai import OpenAIChatCompletionClient
from tests.standins import Vendors

OPENAI, ANTHROPIC = "gpt-4.1-mini", "claude-haiku-4-5"
"""The models' names, which are their ids in a pool made from a list."""
THINKING = {"type": "enabled", "budget_tokens": 1024}
"""Switches Anthropic's reasoning on."""


def info(**said: Any) -> ModelInfo:
    """Return a description of a model that can do everything."""
    able = ("vision", "function_calling", "json_output", "structured_output", "multiple_system_messages")
    found: Any = {**dict.fromkeys(able, True), "family": "unknown", **said}
    described: ModelInfo = found
    return described


def openai_at(base_url: str, **fields: Any) -> OpenAIChatCompletionClient:
    """Return a client of OpenAI's kind."""
    return OpenAIChatCompletionClient(**{"model": OPENAI, "base_url": base_url, "api_key": "any", **fields})


def anthropic_at(base_url: str, **fields: Any) -> AnthropicChatCompletionClient:
    """Return a client of Anthropic's kind."""
    given = {"model": ANTHROPIC, "base_url": base_url, "api_key": "any", "max_tokens": 4096, **fields}
    given.setdefault("model_info", info(structured_output=False, multiple_system_messages=False))
    return AnthropicChatCompletionClient(**given)


def openai(vendors: Vendors, **fields: Any) -> OpenAIChatCompletionClient:
    """Return a client of OpenAI's stand-in."""
    return openai_at(vendors.openai_url, **fields)


def anthropic(vendors: Vendors, **fields: Any) -> AnthropicChatCompletionClient:
    """Return a client of Anthropic's stand-in."""
    return anthropic_at(vendors.url, **fields)
