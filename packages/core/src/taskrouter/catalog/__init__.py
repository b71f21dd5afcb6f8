"""Facts about models: the card, the bundled catalogue of several hundred chat models, and cited quality priors."""

from taskrouter.catalog.card import GENERAL, Capabilities, ModelCard, QualityPrior

__all__ = ["GENERAL", "Capabilities", "ModelCard", "QualityPrior"]
