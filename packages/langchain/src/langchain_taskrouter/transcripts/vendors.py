"""What the vendors' integrations take, by the names that `vendor_of` gives them. Plain data."""

from __future__ import annotations

from collections.abc import Mapping

GOOGLE = frozenset({"google_genai", "google_vertexai"})
CLAUDE = frozenset({"anthropic", "google_vertexai"})
"""Integrations that speak Anthropic's own format."""
OPENAI = frozenset({"openai"})
SEARCHED = CLAUDE | {"aws"}
"""Who takes search results as a block of their own."""
ANY: frozenset[str] = frozenset()

LINKED = frozenset({"openai", "xai"})
"""Vendors whose items name each other by id, so that none can be sent without the reasoning it came with: another
model of theirs gets what another vendor's model gets.
"""
IMAGE_RESULTS = frozenset({"anthropic", "aws", *GOOGLE})
"""Vendors whose models read images in tool results. OpenAI's do with the Responses API."""
LISTS_IN_RESULTS = frozenset({"openai", "mistralai", *IMAGE_RESULTS})
ONE_SYSTEM_MESSAGE = frozenset({"anthropic", "google_vertexai"})
"""Integrations that refuse a second system message further down."""

DECORATIONS: Mapping[str, frozenset[str]] = {
    "cache_control": frozenset({"anthropic", "aws", "google_vertexai", "openrouter", "litellm"}),
    "prompt_cache_breakpoint": OPENAI,
}
"""Keys of a block that only steer a vendor's cache -> who knows them."""

SPELLINGS: Mapping[str, frozenset[str]] = {
    "input_text": OPENAI,
    "input_image": OPENAI,
    "input_file": OPENAI,
    "input_audio": OPENAI,
    "document": CLAUDE,
    "media": GOOGLE,
}
"""Type of a block in a vendor's own form -> who knows it."""

TOOL_CHANGES: Mapping[str, frozenset[str]] = {
    "tool_addition": frozenset({"anthropic"}),
    "tool_removal": frozenset({"anthropic"}),
    "additional_tools": OPENAI,
}
"""Type of a system block that changes the tools -> who knows it."""

FILES: tuple[tuple[str, frozenset[str]], ...] = (
    ("file-", OPENAI),
    ("file_", frozenset({"anthropic"})),
    ("gs://", GOOGLE),
    ("https://generativelanguage.googleapis.com/", frozenset({"google_genai"})),
    ("s3://", frozenset({"aws"})),
)
"""Beginning of a file's id or address -> who can resolve it."""
