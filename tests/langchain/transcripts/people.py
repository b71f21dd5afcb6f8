"""A pool of candidates as transcripts see them, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from langchain_taskrouter.transcripts import Speaker, may_continue

POOL: dict[str, Speaker] = {
    speaker.id: speaker
    for speaker in (
        Speaker("opus", "anthropic", frozenset({"claude-opus-4-5"}), "ChatAnthropic", systems=False),
        Speaker("haiku", "anthropic", frozenset({"claude-haiku-4-5"}), "ChatAnthropic", systems=False),
        Speaker("gpt", "openai", frozenset({"gpt-5"}), "ChatOpenAI", responses_api=True),
        Speaker("mini", "openai", frozenset({"gpt-5-mini"}), "ChatOpenAI", responses_api=True),
        Speaker("gemini", "google_genai", frozenset({"gemini-3-pro"}), "ChatGoogleGenerativeAI"),
        Speaker("flash", "google_genai", frozenset({"gemini-3-flash"}), "ChatGoogleGenerativeAI"),
        Speaker("mistral", "mistralai", frozenset({"mistral-large"}), "ChatMistralAI"),
        Speaker("litellm", "", frozenset({"groq/llama"}), "LiteLLMModel"),
    )
}
KIN = {"opus": "haiku", "haiku": "opus", "gpt": "mini", "mini": "gpt", "gemini": "flash", "flash": "gemini"}
"""Another model of the same vendor."""
GIVER = {"openai": "gpt", "google_genai": "gemini"}
"""Who writes what only that vendor has."""


def said(by: str | None, content: Any = "", **fields: Any) -> AIMessage:
    """An answer, with the account that the router leaves in it."""
    facts = fields.pop("response_metadata", {})
    account = {} if by is None else {"taskrouter": {"model": by}}
    return AIMessage(content, response_metadata={**facts, **account}, **fields)


def call(given: str | None = "call_1", name: str = "lookup", **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": given, "type": "tool_call"}


def loop(by: str | None, content: Any = "", *results: ToolMessage, **fields: Any) -> list[BaseMessage]:
    """A question, an answer with a call, and its result."""
    fields.setdefault("tool_calls", [call()])
    return [HumanMessage("Weather?"), said(by, content, **fields), *(results or [result()])]


def result(content: Any = "Sunny.", given: str = "call_1", **fields: Any) -> ToolMessage:
    return ToolMessage(content, tool_call_id=given, **fields)


def thinking(pool: dict[str, Speaker], *names: str) -> dict[str, Speaker]:
    """The pool, in which some ask for thinking of the kind that insists."""
    return {name: replace(speaker, thinks=name in names) for name, speaker in pool.items()}


def able(messages: Sequence[BaseMessage], pool: Mapping[str, Speaker] = POOL) -> AbstractSet[str] | None:
    """Who can take the next call; None: everybody."""
    return may_continue(messages, pool)
