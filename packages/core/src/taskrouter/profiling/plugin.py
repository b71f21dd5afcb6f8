"""Offers the embedded classifiers through the same hook that plugins use."""

from __future__ import annotations

from collections.abc import Mapping

from taskrouter.hookspecs import hookimpl
from taskrouter.ports import Classifier
from taskrouter.profiling.rules import RuleClassifier


@hookimpl
def taskrouter_classifiers() -> Mapping[str, Classifier]:
    """Offer `rules`, the classifier that needs no model."""
    return {RuleClassifier.name: RuleClassifier()}
