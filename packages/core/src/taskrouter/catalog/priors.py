"""Cited quality priors: what has been published about a model, per task type.

The figures and their documents stand in `training/priors.toml`; `training/priors.py` says how figures of different
benchmarks are put on one scale. Nothing here is a guess: `tier_prior` is, and says so.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Final, TypeAlias, TypedDict

from taskrouter.catalog.card import ModelCard, QualityPrior, Tier
from taskrouter.catalog.names import ModelName, parse

ANOTHER_REVISION: Final = 0.5
"""Factor on the weight of figures of another revision: `-0613` is not quite `-0125`."""

TIER_MEANS: Final[dict[Tier | None, float]] = {"small": 0.68, "medium": 0.8, "large": 0.84, "frontier": 0.86, None: 0.7}
"""About the mean of the cited `general` priors of each size class; None: its size class is not known either."""

WIDE_WEIGHT: Final = 2.0
"""Two labels outweigh a guess."""

Row: TypeAlias = tuple[float, float, int]
"""Mean, weight and the index of the source."""


class _Document(TypedDict):
    sources: list[str]
    models: dict[str, dict[str, dict[str, Row]]]
    """Stem -> revision (empty: undated) -> task type -> row."""


def cited_quality(card_or_model: ModelCard | str) -> dict[str, QualityPrior]:
    """Return the published priors of a model by task type and `general`; empty where nothing is published.

    Names are matched as in `Catalog`: never across families, versions or sizes. Figures of another dated revision of
    the same model are taken at half their weight, and only for tasks on which its own revision has none.
    """
    name = parse(card_or_model if isinstance(card_or_model, str) else card_or_model.model)
    revisions = _document()["models"].get(name.stem, {})
    nearest_last = sorted(filter(name.may_be, revisions), key=lambda r: (name.is_revision(r), r == "", r))
    return {task: _prior(row, name, r) for r in nearest_last for task, row in revisions[r].items()}


def tier_prior(tier: Tier | None) -> QualityPrior:
    """Return a wide prior for a model of which nothing is published."""
    return QualityPrior(mean=TIER_MEANS[tier], weight=WIDE_WEIGHT, source="no published figure: wide prior by tier")


def _prior(row: Row, name: ModelName, revision: str) -> QualityPrior:
    mean, weight, source = row
    cited = _document()["sources"][source]
    if name.is_revision(revision) or not (name.revision and revision):
        return QualityPrior(mean=mean, weight=weight, source=cited)
    return QualityPrior(mean=mean, weight=weight * ANOTHER_REVISION, source=f"revision {revision}: {cited}")


@cache
def _document() -> _Document:
    text = files("taskrouter.catalog").joinpath("data/priors.json").read_text(encoding="utf-8")
    document: _Document = json.loads(text)
    return document
