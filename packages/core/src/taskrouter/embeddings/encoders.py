"""From texts to vectors: sentence-transformers in this process, or a provider's model through LiteLLM."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol

from taskrouter.config import LabellerConfig
from taskrouter.embeddings.options import EmbeddingOptions
from taskrouter.errors import ConfigurationError, MissingExtraError

LOCAL: Final = "sentence-transformers/"
REMOTE: Final = "litellm:"
BATCH: Final = 64
"""Texts in one call to a provider."""


class Encoder(Protocol):
    """Makes vectors of texts. May block."""

    name: str
    """Tells vectors of different models apart."""
    remote: bool
    """Whether the texts leave this process."""

    def encode(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector for each text, in their order; all have the same length."""
        ...


def encoder_of(config: LabellerConfig, options: EmbeddingOptions) -> Encoder:
    """Return what `model` names.

    Raises:
        ConfigurationError: it names nothing that makes vectors.
        MissingExtraError: what it needs is not installed.
    """
    model = config.model or ""
    if model.startswith(REMOTE) and len(model) > len(REMOTE):
        return LiteLLMEncoder(model.removeprefix(REMOTE), options)
    if model.startswith(LOCAL) and len(model) > len(LOCAL):
        return SentenceEncoder(model)
    raise ConfigurationError(
        f"profiling.labeller.model is {config.model!r:.80}: write 'sentence-transformers/all-MiniLM-L6-v2' for a model "
        "in this process, or 'litellm:openai/text-embedding-3-small' for a provider's"
    )


class SentenceEncoder:
    """A model of the library sentence-transformers, in this process.

    The library is imported and the model loaded with the first texts: that takes seconds, and the library may download
    the model from the Hugging Face Hub.

    Args:
        model: its name on the hub, or `sentence-transformers/` and a folder.
        loaded: the model, where it has been loaded already.
    """

    remote = False

    def __init__(self, model: str, loaded: Any = None) -> None:
        self.name = model
        self._loaded = loaded
        if loaded is None and "sentence_transformers" not in sys.modules and find_spec("sentence_transformers") is None:
            raise ConfigurationError(
                f"profiling.labeller.model {model!r} needs the library sentence-transformers, which brings PyTorch and "
                "is in no extra for that reason: pip install sentence-transformers"
            )

    def encode(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector for each text."""
        if self._loaded is None:
            self._loaded = import_module("sentence_transformers").SentenceTransformer(self._source())
        vectors: Sequence[Sequence[float]] = self._loaded.encode(list(texts), show_progress_bar=False)
        return vectors

    def _source(self) -> str:
        rest = self.name.removeprefix(LOCAL)
        return rest if os.sep in rest else self.name


class LiteLLMEncoder:
    """An embedding model that LiteLLM reaches: a provider's, or one of a server of yours with `base_url`.

    Args:
        model: LiteLLM's model string.
        options: where it is, with which key, how long it may take.
    """

    remote = True

    def __init__(self, model: str, options: EmbeddingOptions) -> None:
        self.name = f"{REMOTE}{model}"
        self._model = model
        self._options = options
        if "litellm" not in sys.modules and find_spec("litellm") is None:
            raise MissingExtraError("litellm", extra="embeddings", wanted_for="the labeller 'embeddings'")

    def encode(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector for each text."""
        vectors: list[Sequence[float]] = []
        for start in range(0, len(texts), BATCH):
            answer = _litellm().embedding(
                model=self._model, input=list(texts[start : start + BATCH]), **self._parameters()
            )
            rows = sorted(answer.data, key=lambda row: row["index"])
            vectors.extend(row["embedding"] for row in rows)
        return vectors

    def _parameters(self) -> dict[str, Any]:
        options = self._options
        parameters: dict[str, Any] = {"timeout": options.timeout_s, "max_retries": 1, "encoding_format": "float"}
        if options.base_url is not None:
            parameters |= {"api_base": options.base_url, "api_key": "none"}
        if options.api_key is not None:
            parameters["api_key"] = _secret(options.api_key)
        return parameters


def _secret(reference: str) -> str:
    name = reference.removeprefix("env:")
    if not (value := os.environ.get(name)):
        raise ConfigurationError(f"profiling.labeller.options.api_key refers to {reference!r}, but {name} is not set")
    return value


def _litellm() -> Any:
    if "litellm" not in sys.modules:
        # Without this LiteLLM downloads its price map during the import, and blocks when the network does.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    return import_module("litellm")
