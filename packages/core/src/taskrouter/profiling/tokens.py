"""How many tokens a step sends and may bring back: estimates that cost a microsecond."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from taskrouter.profile import UNKNOWN

CHARS_PER_TOKEN: Final = 4
TOKENS_PER_EXTRA_BYTE: Final = 0.35
"""What each UTF-8 byte beyond one per character adds. Han and kana (two extra bytes) come to 0.95 tokens a character,
Cyrillic, Arabic and Greek (one) to 0.6; an accent here and there changes little."""
TOKENS_PER_IMAGE: Final = 1000
"""Providers count 85 to about 1600 by size and detail, which are not known here."""

OUTPUT_TOKENS: Final[Mapping[str, tuple[int, float, int]]] = {
    # task type: (tokens, plus this share of the input, at most)
    "code_generation": (600, 0.0, 600),
    "code_repair": (300, 0.3, 1500),
    "planning": (400, 0.0, 400),
    "tool_use": (80, 0.0, 80),
    "verification": (150, 0.0, 150),
    "retrieval": (50, 0.0, 50),
    "reasoning": (500, 0.0, 500),
    "summarization": (100, 0.1, 600),
    "extraction": (60, 0.15, 800),
    "rewriting": (30, 0.8, 3000),
    "translation": (20, 1.0, 4000),
    "classification": (12, 0.0, 12),
    "closed_qa": (100, 0.0, 100),
    "open_qa": (200, 0.0, 200),
    "creative_writing": (600, 0.0, 600),
    "brainstorming": (350, 0.0, 350),
    "chat": (80, 0.0, 80),
    UNKNOWN: (300, 0.0, 300),
}
"""Expected length of an answer by task type. Orders of magnitude for ranking prices, not limits."""

TOKENS_PER_PROPERTY: Final = 20
"""A property of a structured answer: its key, its punctuation and a short value."""


def estimate_tokens(chars: int, images: int, sample: str = "") -> int:
    """Estimate input tokens from a number of characters and images.

    On English prose and code the error is 5 to 12 % in the median and 34 % at the 95th percentile: allow a factor of
    1.35 wherever the estimate meets a limit. Other scripts cost more per character, which `sample`, an extract of the
    same text, corrects for.
    """
    per_char = 1 / CHARS_PER_TOKEN
    if sample and not sample.isascii():
        extra_bytes = len(sample.encode("utf-8", "surrogatepass")) - len(sample)
        per_char += TOKENS_PER_EXTRA_BYTE * extra_bytes / len(sample)
    return (int(chars * per_char) or min(chars, 1)) + images * TOKENS_PER_IMAGE


def expect_output_tokens(task_type: str, input_tokens: int, schema: Mapping[str, Any] | None = None) -> int:
    """Return the tokens expected in the answer; a schema for the answer says more than the task type."""
    fixed, share, most = OUTPUT_TOKENS[task_type]
    expected = min(int(fixed + share * input_tokens), most)
    if schema is None:
        return expected
    properties = schema.get("properties")
    count = len(properties) if isinstance(properties, Mapping) else 0
    return max(TOKENS_PER_PROPERTY * (count + 1), min(expected, 400))
