"""Profiling: what a step is, from the strongest evidence there is."""

from taskrouter.profiling.identity import IdentityMemory
from taskrouter.profiling.ngrams import NgramClassifier
from taskrouter.profiling.profiler import Profiler
from taskrouter.profiling.rules import RuleClassifier

__all__ = ["IdentityMemory", "NgramClassifier", "Profiler", "RuleClassifier"]
