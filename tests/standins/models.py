"""LangChain's own models over the stand-ins, made as users make them."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from tests.standins.server import Vendors

OPENAI, ANTHROPIC = "gpt-4.1-mini", "claude-haiku-4-5"
"""The models' names, which are their ids in a pool made from a list."""
THINKING = {"type": "enabled", "budget_tokens": 1024}
"""Switches Anthropic's reasoning on."""


def openai(vendors: Vendors, **fields: Any) -> ChatOpenAI:
    """Return a model of OpenAI's stand-in."""
    return ChatOpenAI(**{"model": OPENAI, "base_url": vendors.openai_url, "api_key": SecretStr("any"), **fields})


def anthropic(vendors: Vendors, **fields: Any) -> ChatAnthropic:
    """Return a model of Anthropic's stand-in."""
    return ChatAnthropic(**{"model": ANTHROPIC, "base_url": vendors.url, "api_key": SecretStr("any"), **fields})
