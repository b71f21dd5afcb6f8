"""Cited quality priors: what has been published about a model, per task type.

The figures and their documents stand in `training/priors.toml`; `training/priors.py` says how figures of different
benchmarks are put on one scale. What a model has no figure for is guessed, and says so: `kin_prior` from the figures of
its family and size class, `tier_prior` where there are none either.
"""

from __future__ import annotations

import json
import re
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

KIN_WEIGHTS: Final = (4.0, 3.0, WIDE_WEIGHT)
"""What the mean of a family and size class, of a family, and of a size class is worth. Left out one by one, models with
figures lie 10 points (standard deviation) beside the first two and 12 beside the third; these weights say twice that,
for benchmarks are not the user's work. The house adds nothing to the size class (12 points)."""

_REVISION: Final = re.compile(r"^revision \S*: ")

Row: TypeAlias = tuple[float, float, int]
"""Mean, weight and the index of the source."""


class _Document(TypedDict):
    sources: list[str]
    models: dict[str, dict[str, dict[str, Row]]]
    """Stem -> revision (empty: undated) -> task type -> row."""
    kin: dict[str, dict[str, tuple[float, int]]]
    """Key of `kin_keys` -> task type -> mean, and the number of models behind it."""


def cited_quality(card_or_model: ModelCard | str) -> dict[str, QualityPrior]:
    """Return the published priors of a model by task type and `general`; empty where nothing is published.

    Names are matched as in `Catalog`: never across families, versions or sizes. Figures of another dated revision of
    the same model are taken at half their weight, and only for tasks on which its own revision has none.
    """
    name = parse(card_or_model if isinstance(card_or_model, str) else card_or_model.model)
    revisions = _document()["models"].get(name.stem, {})
    nearest_last = sorted(filter(name.may_be, revisions), key=lambda r: (name.is_revision(r), r == "", r))
    return {task: _prior(row, name, r) for r in nearest_last for task, row in revisions[r].items()}


def is_published(source: str) -> bool:
    """Tell whether a prior with that source is one of ours, from documents that anybody can read."""
    return _REVISION.sub("", source) in _sources()


def kin_keys(family: str | None, tier: Tier | None) -> tuple[str, str, str]:
    """Return the groups that a model belongs to, closest first; empty where it belongs to none."""
    return f"{family}, {tier}" if family and tier else "", family or "", tier or ""


def kin_prior(card: ModelCard, task_type: str) -> QualityPrior | None:
    """Return a wide prior from the figures of models of the same family and size class, or None where there are none.

    It is no published figure of the model: the source says what it is.
    """
    family = card.family or parse(card.model).family
    for key, weight in zip(kin_keys(family, card.tier), KIN_WEIGHTS, strict=True):
        if found := _document()["kin"].get(key, {}).get(task_type):
            mean, models = found
            known = f"{models} models" if models > 1 else "one model"
            return QualityPrior(mean=mean, weight=weight, source=f"no published figure: mean of {known} ({key})")
    return None


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


@cache
def _sources() -> frozenset[str]:
    return frozenset(_document()["sources"])
