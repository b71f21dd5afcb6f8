"""`[profiling.labeller.options]` of the labeller `embeddings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from taskrouter.config import Seconds, SecretReference


class EmbeddingOptions(BaseModel):
    """What may stand there."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    examples: Path | None = None
    """JSON Lines of your own labelled texts, beside the built-in ones: `{"text": ..., "task_type": ...}`. A relative
    path starts at the working directory, as that of `cache` does."""
    builtin: bool = True
    """Whether the built-in examples are used."""
    cache: Path | None = None
    """File in which the vectors of the examples are kept between starts; None: they are made anew at each."""
    neighbours: Annotated[int, Field(ge=1, le=20)] = 4
    """Nearest examples of each task type that speak for it."""
    base_url: str | None = None
    """`litellm:` models: address of the server."""
    api_key: SecretReference | None = None
    """`litellm:` models: where the key is, `env:NAME`; without one LiteLLM looks where the provider's usually is."""
    timeout_s: Seconds = 30.0
    """`litellm:` models: time allowed for one call."""
