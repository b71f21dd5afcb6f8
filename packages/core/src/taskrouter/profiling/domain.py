"""The field a step is about: a linear model over its words, learnt from prompts that are labelled with their field."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from math import exp, sqrt
from struct import Struct
from typing import Final

from taskrouter.profile import DOMAINS
from taskrouter.profiling.weights import FEWEST, LANE_BYTES, current

GENERAL: Final = "general"

FLOOR: Final = 0.3
"""Probability below which no field is named."""

_LANES = Struct(f"<{len(DOMAINS)}I{LANE_BYTES}x")


def guess_domain(unique_words: AbstractSet[str]) -> str:
    """Return one of `taskrouter.profile.DOMAINS`, `general` when unsure.

    Raises:
        ConfigurationError: the file of weights is missing or damaged.
    """
    weights = current()
    rows = weights.domain.rows
    known = list(filter(None, map(rows.get, unique_words)))
    if not known:
        return GENERAL
    factor = weights.domain.scale / sqrt(max(len(known), FEWEST))
    lanes = _LANES.unpack(sum(known).to_bytes(_LANES.size, "little"))
    logits = [bias + factor * lane for bias, lane in zip(weights.domain_bias, lanes, strict=True)]
    most = max(logits)
    if FLOOR * sum([exp(logit - most) for logit in logits]) > 1:
        return GENERAL
    return DOMAINS[logits.index(most)]
