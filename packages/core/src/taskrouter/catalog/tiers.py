"""Size classes of models, by known size or else by price."""

from __future__ import annotations

from typing import Final

from taskrouter.catalog.card import Tier
from taskrouter.catalog.names import ModelName

SIZES: Final[tuple[tuple[float, Tier], ...]] = ((15, "small"), (80, "medium"))
"""Billions of parameters (all experts together) up to which an open model is small or medium; above it is large."""

PRICES: Final[tuple[tuple[float, Tier], ...]] = ((1.9, "small"), (7.5, "medium"), (14, "large"))
"""US dollars per million output tokens up to which a model of unknown size counts as small, medium or large; above it
is frontier. The steps follow how houses price their own lines: mini and flash, haiku, full size, flagship."""


def tier_of(name: ModelName, output_usd_per_million: float | None) -> Tier | None:
    """Tell the size class, or None where neither the size nor the price is known."""
    if (billions := name.billions) is not None:
        return next((tier for limit, tier in SIZES if billions <= limit), "large")
    if output_usd_per_million is None:
        return None
    return next((tier for limit, tier in PRICES if output_usd_per_million <= limit), "frontier")
