"""Offers the embedded classifiers and the labeller `llm` through the same hook that plugins use."""

from __future__ import annotations

from collections.abc import Mapping

from taskrouter.hookspecs import hookimpl
from taskrouter.ports import Classifier, LabellerFactory
from taskrouter.profiling.llm import LlmLabeller
from taskrouter.profiling.ngrams import NgramClassifier
from taskrouter.profiling.rules import RuleClassifier


@hookimpl
def taskrouter_classifiers() -> Mapping[str, Classifier]:
    """Offer `ngrams`, which was trained, and `rules`, which can be read in one sitting."""
    return {NgramClassifier.name: NgramClassifier(), RuleClassifier.name: RuleClassifier()}


@hookimpl
def taskrouter_labellers() -> Mapping[str, LabellerFactory]:
    """Offer `llm`, which asks a model of the pool."""
    return {LlmLabeller.name: LlmLabeller}
