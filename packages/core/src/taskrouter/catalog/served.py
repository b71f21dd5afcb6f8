"""Whether a provider has served the model that it was asked for."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_SNAPSHOT: Final = re.compile(
    r"(?:[-@:](?:\d{4}-\d\d-\d\d|\d{3,}|\d\d-\d{2,4}|v\d+(?::\d+)?|latest|preview|exp|fp8|bf16))*$"
)
"""What may follow a model's name without making it another model: dates, versions, the precision of its weights."""
_PUBLISHER: Final = re.compile(r"^(?:(?:us|eu|apac|global)\.)?(?:anthropic|meta|amazon|mistral|cohere|ai21|deepseek)\.")
_NAMED_BY_USERS: Final = frozenset({"azure", "azure_ai", "sagemaker", "custom"})
"""Providers where the name that is asked for is a deployment's, chosen by whoever made it."""


@lru_cache(maxsize=1024)
def same_model(asked: str, served: str | None, *, provider: str | None = None) -> bool | None:
    """Tell whether the name that a provider reports is that of the model which was asked for.

    A dated snapshot is the model that its alias stands for (`gpt-4o` and `gpt-4o-2024-08-06`); a smaller sibling is
    not (`gpt-4o` and `gpt-4o-mini`).

    Args:
        asked: LiteLLM model string.
        served: name that came with the answer.
        provider: LiteLLM's name of the provider, where it is known.

    Returns:
        None where that cannot be told: no name came, or the asked one is a deployment's.
    """
    provider = provider or (asked.split("/", 1)[0] if "/" in asked else None)
    if not served or provider in _NAMED_BY_USERS:
        return None
    (own, snapshot), (other, served_snapshot) = _parts(asked), _parts(served)
    dated = any(sign.isdigit() for sign in snapshot) and any(sign.isdigit() for sign in served_snapshot)
    return own == other and (not dated or snapshot.startswith(served_snapshot) or served_snapshot.startswith(snapshot))


def _parts(name: str) -> tuple[str, str]:
    """The last part of a name and its snapshot, in one spelling: regions, publishers and routes stand before it."""
    last = _PUBLISHER.sub("", name.rsplit("/", 1)[-1].lower())
    found = _SNAPSHOT.search(last)
    start = len(last) if found is None else found.start()
    return last[:start], last[start:]
