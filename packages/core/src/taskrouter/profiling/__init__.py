"""Profiling: what a step is, from the strongest evidence there is."""

from taskrouter.profiling.identity import IdentityMemory
from taskrouter.profiling.profiler import Profiler
from taskrouter.profiling.rules import RuleClassifier

__all__ = ["IdentityMemory", "Profiler", "RuleClassifier"]
