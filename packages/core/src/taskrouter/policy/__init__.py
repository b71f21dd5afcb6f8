"""What may be chosen at all: hard constraints, and the rules that tighten them."""

from taskrouter.policy.constraints import Demands, Eligibility
from taskrouter.policy.rules import Effects, RuleSet

__all__ = ["Demands", "Effects", "Eligibility", "RuleSet"]
