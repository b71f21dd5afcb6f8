"""Whose integration a LlamaIndex LLM is, and what is known of each. Plain data, no integration is imported."""

from __future__ import annotations

from llama_index.core.llms import LLM

OWN = "taskrouter"
"""The vendor of models that are called through the router's own backends."""
LITELLM_PROVIDERS = {
    "azure_openai": "azure",
    "bedrock_converse": "bedrock",
    "fireworks": "fireworks_ai",
    "google_genai": "gemini",
    "mistralai": "mistral",
    "openai_like": "openai",
    "openai_responses": "openai",
    "together": "together_ai",
    "vertex": "vertex_ai",
}
"""LlamaIndex's name of an integration -> LiteLLM's of the provider, where they differ."""
FINISHING = frozenset({"openai", "openai_responses", "anthropic", OWN})
"""Vendors whose streams always say why they ended: one that does not was cut off."""
LEGACY_CALLS = frozenset({"litellm"})
"""Integrations that read tool calls from `additional_kwargs` alone, and refuse a `ToolCallBlock`."""
CLAUDE = frozenset({"anthropic", "bedrock_converse", "vertex"})
"""Integrations that know marks for Anthropic's prompt cache."""
CITING = frozenset({"anthropic"})
"""Integrations that know citable blocks."""
LEAVES_MESSAGES = frozenset({"openai", "litellm", OWN})
"""Integrations that are known not to write into the messages they are given."""


def vendor_of(model: LLM) -> str:
    """Return whose integration a model is: `openai` for `llama_index.llms.openai`, also for a user's class beneath.

    Its `OpenAIResponses` speaks another protocol, so it is one of its own.
    """
    for cls in type(model).__mro__:
        names = cls.__module__.split(".")
        if names[:2] == ["llama_index", "llms"] and len(names) > 2:
            return "openai_responses" if names[2:] == ["openai", "responses"] else names[2]
    return ""
