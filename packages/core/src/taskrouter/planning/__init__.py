"""Plans scored and one selected: a pure function from profile and pool to a `Decision`."""

from taskrouter.planning.agreement import Trust, trusted
from taskrouter.planning.checked import make_selector
from taskrouter.planning.checks import Check, check_of
from taskrouter.planning.following import BY_CIRCUMSTANCES, TEACHABLE, follow, one_by_one
from taskrouter.planning.planner import Planned, Planner
from taskrouter.planning.prefix import PrefixMemory
from taskrouter.planning.quality import QualityModel

__all__ = [
    "BY_CIRCUMSTANCES",
    "TEACHABLE",
    "Check",
    "Planned",
    "Planner",
    "PrefixMemory",
    "QualityModel",
    "Trust",
    "check_of",
    "follow",
    "make_selector",
    "one_by_one",
    "trusted",
]
