"""Offers the labeller; what it needs is imported when a router is built that uses it."""

from __future__ import annotations

from collections.abc import Mapping

from taskrouter.config import LabellerConfig
from taskrouter.hookspecs import hookimpl
from taskrouter.ports import Ask, Labeller, LabellerFactory


@hookimpl
def taskrouter_labellers() -> Mapping[str, LabellerFactory]:
    """Offer `embeddings`."""
    return {"embeddings": _make}


def _make(config: LabellerConfig, ask: Ask) -> Labeller:
    del ask  # vectors do not come from the pool
    from taskrouter.embeddings.labeller import EmbeddingLabeller  # noqa: PLC0415 - needs numpy

    return EmbeddingLabeller(config)
