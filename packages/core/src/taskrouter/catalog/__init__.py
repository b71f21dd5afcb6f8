"""Facts about models: the card, the bundled catalogue of a few thousand chat models, and cited quality priors."""

from taskrouter.catalog.bundled import Catalog
from taskrouter.catalog.card import GENERAL, Capabilities, ModelCard, QualityPrior
from taskrouter.catalog.priors import cited_quality, tier_prior

__all__ = ["GENERAL", "Capabilities", "Catalog", "ModelCard", "QualityPrior", "cited_quality", "tier_prior"]
